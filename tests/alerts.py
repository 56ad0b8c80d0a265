"""The expressions of the alert rules and of the dashboard, parsed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml

__all__ = ["Selector", "dashboard_expressions", "rules", "selectors"]

DEPLOY = Path(__file__).parents[1] / "deploy"
#: Replacement for Grafana's variable.
RATE_INTERVAL = ("$__rate_interval", "1m")


@dataclass(frozen=True)
class Selector:
    """Series that an expression reads."""

    name: str
    #: The values that each label may have, as alternatives of its matcher.
    matchers: dict[str, frozenset[str]]
    #: Labels that the expression groups its series by.
    groups: frozenset[str]

    @property
    def labels(self) -> frozenset[str]:
        return self.groups | set(self.matchers)


def rules() -> list[dict[str, Any]]:
    """Return the alerts of deploy/prometheus/rules.yml."""
    loaded = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def dashboard_expressions() -> list[str]:
    """Return the expressions of the panels of deploy/grafana/pycwt-mod.json."""
    board = json.loads((DEPLOY / "grafana/pycwt-mod.json").read_text())
    targets = [each for panel in board["panels"] for each in panel.get("targets", ())]
    return [each["expr"].replace(*RATE_INTERVAL) for each in targets]


def selectors(expression: str) -> list[Selector]:
    """Return the series that an expression reads.

    Raises
    ------
    ValueError
        It is not PromQL.
    """
    return list(_selectors(promql_parser.parse(expression), frozenset()))


def _selectors(node: Any, groups: frozenset[str]) -> Iterator[Selector]:
    match node:
        case promql_parser.VectorSelector():
            matchers = {
                each.name: frozenset(re.split(r"\|", each.value)) for each in node.matchers.matchers
            }
            yield Selector(str(node.name), matchers, groups)
        case promql_parser.MatrixSelector():
            yield from _selectors(node.vector_selector, groups)
        case promql_parser.AggregateExpr():
            by = frozenset(node.modifier.labels) if node.modifier else frozenset[str]()
            yield from _selectors(node.expr, groups | by)
        case promql_parser.BinaryExpr():
            yield from _selectors(node.lhs, groups)
            yield from _selectors(node.rhs, groups)
        case promql_parser.Call():
            for argument in node.args:
                yield from _selectors(argument, groups)
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr():
            yield from _selectors(node.expr, groups)
        case promql_parser.NumberLiteral():
            pass
        case _:
            raise AssertionError(f"{type(node).__name__} is not followed here")
