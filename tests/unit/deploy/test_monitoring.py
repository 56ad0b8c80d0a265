"""deploy/prometheus and deploy/grafana: well formed, and about metrics that the services have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import promql_parser
import pytest
import yaml

from cwt_schemas import storage
from cwt_schemas.live import EventKind
from tests.alerts import dashboard_expressions, rules, selectors

#: Prometheus adds them to all series.
ADDED = {"job", "instance"}


@pytest.fixture
def panels(root: Path) -> list[dict[str, Any]]:
    board = json.loads((root / "deploy/grafana/pycwt-mod.json").read_text())
    return list(board["panels"])


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_is_complete(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description"}
    assert promql_parser.parse_duration(rule.get("for", "1m"))
    read = selectors(rule["expr"])
    assert read
    named = set(re.findall(r"\$labels\.(\w+)", "".join(rule["annotations"].values())))
    kept = {label for each in read for label in each.groups}
    assert named <= (kept or ADDED)


def test_the_values_that_are_compared_exist() -> None:
    known = {
        "job": {"ingest", "compute", "hwbridge", "gateway"},
        "kind": set(get_args(EventKind)),
        "outcome": {"computed", "stale", "dead", "done", "failed"},
        "queue": {storage.WINDOWS, storage.TASKS},
        "status": {"5.."},
    }
    for expression in (*(rule["expr"] for rule in rules()), *dashboard_expressions()):
        for selector in selectors(expression):
            for label, values in selector.matchers.items():
                assert values <= known[label], expression


def test_every_alert_has_a_name_of_its_own() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))


def test_every_alert_is_tested_to_fire_and_not_to_fire(root: Path) -> None:
    loaded = yaml.safe_load((root / "deploy/prometheus/rules_test.yml").read_text())
    checks = [check for test in loaded["tests"] for check in test["alert_rule_test"]]
    names = {rule["alert"] for rule in rules()}
    assert {check["alertname"] for check in checks if check["exp_alerts"]} == names
    assert {check["alertname"] for check in checks if not check["exp_alerts"]} == names


@pytest.mark.skipif(shutil.which("promtool") is None, reason="not installed: promtool")
@pytest.mark.parametrize(
    "command", [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")]
)
def test_prometheus_accepts_its_files_and_alerts_fire_as_tested(
    root: Path, command: tuple[str, ...]
) -> None:
    done = subprocess.run(
        ["promtool", *command],
        cwd=root / "deploy/prometheus",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_every_service(root: Path, compose: dict[str, Any]) -> None:
    folder = root / "deploy/prometheus"
    loaded = yaml.safe_load((folder / "prometheus.yml").read_text())
    jobs = {each["job_name"]: each["dns_sd_configs"] for each in loaded["scrape_configs"]}
    ports = {
        name: int(service["environment"]["CWT_METRICS_PORT"])
        for name, service in compose["services"].items()
        if "CWT_METRICS_PORT" in service.get("environment", {})
    }
    assert jobs == {
        name: [{"names": [name], "type": "A", "port": port}] for name, port in ports.items()
    }
    assert [name for name in loaded["rule_files"] if not (folder / name).is_file()] == []


def test_the_panels_have_places_and_ids_of_their_own(panels: list[dict[str, Any]]) -> None:
    ids = [each["id"] for each in panels]
    assert len(ids) == len(set(ids))
    for one, other in combinations((each["gridPos"] for each in panels), 2):
        apart = any(
            first[at] + first[size] <= second[at]
            for first, second in ((one, other), (other, one))
            for at, size in (("x", "w"), ("y", "h"))
        )
        assert apart, (one, other)


def test_a_legend_names_labels_that_its_expression_keeps(panels: list[dict[str, Any]]) -> None:
    for target in (each for panel in panels for each in panel.get("targets", ())):
        named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        read = selectors(target["expr"].replace("$__rate_interval", "1m"))
        assert named <= {label for each in read for label in each.groups}, target["expr"]
