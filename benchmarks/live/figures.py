"""Figures with their targets, and the page that lists them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Figure", "Section", "page"]

HEADINGS = ("", "target", "median", "lowest to highest", "runs", "notes")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure with its values from all runs."""

    what: str
    values: tuple[float, ...]
    unit: str
    #: The promised value, or empty.
    target: str = ""
    note: str = ""

    def cells(self) -> list[str]:
        """Return the row of the table."""
        low, high = min(self.values), max(self.values)
        spread = f"{_short(low)} to {_short(high)}" if len(self.values) > 1 else ""
        median = f"{_short(statistics.median(self.values))} {self.unit}".rstrip()
        return [self.what, self.target, median, spread, str(len(self.values)), self.note]


@dataclass(frozen=True, kw_only=True)
class Section:
    """Figures of one kind, with their method and notes."""

    title: str
    text: str
    figures: tuple[Figure, ...]


INTRODUCTION = """\
# Benchmarks of the live path

`{command}` measured all figures in one run and wrote this page. All processes are real and run on
one machine, around an embedded server with file storage. The device is a separate process that uses
only nats-py, and results are read with nats-py unless a row says otherwise, so the figures are
those of the system. "target" is the promised value. "floor" sends the same number of messages of
the same sizes through programs that use only nats-py, pass them on and compute nothing, in the same
run.

`python -m benchmarks.live --quick` runs everything with little data, to check that it works, and
`--only` one measurement, such as `pairs`.
"""


def page(
    sections: Sequence[Section],
    machine: Mapping[str, str],
    versions: Mapping[str, str],
    command: str,
) -> str:
    """Return the whole page as Markdown."""
    parts = [INTRODUCTION.format(command=command)]
    parts += ["## Machine", "", *_facts(machine), "", "## Versions", "", *_facts(versions), ""]
    for section in sections:
        parts += [f"## {section.title}", "", section.text, ""]
        parts += [_row(HEADINGS), _row(["---"] * len(HEADINGS))]
        parts += [*(_row(figure.cells()) for figure in section.figures), ""]
    return "\n".join(parts)


def _facts(facts: Mapping[str, str]) -> list[str]:
    return [_row(["", ""]), _row(["---", "---"]), *(_row(item) for item in facts.items())]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
