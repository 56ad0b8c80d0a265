"""What the pages list is what the code has."""

from __future__ import annotations

import ast
import re
from typing import get_args

import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute

from cwt_compute.settings import ComputeSettings
from cwt_gateway.app import ROUTERS, SOCKETS
from cwt_gateway.settings import GatewaySettings
from cwt_hwbridge.settings import HwBridgeSettings
from cwt_ingest.settings import IngestSettings
from cwt_runtime.settings import ServiceSettings
from cwt_schemas.endpoints import ENDPOINTS
from cwt_schemas.errors import ErrorCode
from cwt_schemas.live import EventKind
from tests.unit.docs import tables
from tests.unit.docs.conftest import PAGES, ROOT
from tests.variables import variables

SETTINGS = PAGES["docs/settings.md"]
STORAGE = PAGES["docs/storage.md"]
MONITORING = PAGES["docs/monitoring.md"]
PERFORMANCE = PAGES["docs/performance.md"]
MESSAGES = PAGES["docs/messages.md"]
HTTP = PAGES["docs/http-reference.md"]
TROUBLESHOOTING = PAGES["docs/troubleshooting.md"]


def rows_of(table: str) -> str:
    """Return a table without its headings, which are the page's own words."""
    _headings, _line, rows = table.split("\n", 2)
    return rows


def test_the_settings_page_lists_every_setting_with_its_default() -> None:
    assert rows_of(tables.settings_table(ServiceSettings)) in SETTINGS
    assert rows_of(tables.settings_table(IngestSettings, without=ServiceSettings)) in SETTINGS
    assert rows_of(tables.settings_table(ComputeSettings, without=ServiceSettings)) in SETTINGS
    assert rows_of(tables.settings_table(HwBridgeSettings, without=ServiceSettings)) in SETTINGS
    assert rows_of(tables.settings_table(GatewaySettings, without=ServiceSettings)) in SETTINGS


def test_the_settings_page_lists_nothing_that_is_no_setting() -> None:
    known = {
        *variables(ServiceSettings),
        *variables(IngestSettings),
        *variables(ComputeSettings),
        *variables(HwBridgeSettings),
        *variables(GatewaySettings),
    }
    assert set(re.findall(r"\| `(CWT_\w+)`", SETTINGS)) == known


def test_storage_page_lists_streams_and_buckets() -> None:
    assert rows_of(tables.streams_table()) in STORAGE
    assert rows_of(tables.consumers_table()) in STORAGE
    assert rows_of(tables.buckets_table()) in STORAGE
    assert rows_of(tables.objects_table()) in STORAGE


def test_performance_page_lists_margins() -> None:
    assert rows_of(tables.margins_table()) in PERFORMANCE


def test_monitoring_page_lists_metrics() -> None:
    assert rows_of(tables.metrics_table()) in MONITORING


def test_monitoring_page_lists_log_actions() -> None:
    logs = MONITORING.partition("## Logs")[2]
    rows = [line.split("|")[1] for line in logs.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(tables.actions())


@pytest.mark.parametrize("module", ["doctor", "findings"])
def test_the_troubleshooting_page_has_every_check_of_doctor(module: str) -> None:
    code = ast.parse((ROOT / f"cli/cwt_cli/{module}.py").read_text())
    checks = {
        str(node.value.value)
        for node in ast.walk(code)
        if isinstance(node, ast.keyword)
        and node.arg == "about"
        and isinstance(node.value, ast.Constant)
    }
    assert checks
    assert {check for check in checks if f"| `{check}: " not in TROUBLESHOOTING} == set()


def test_the_messages_page_names_every_error_with_its_status() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", MESSAGES, re.MULTILINE))
    assert rows == {code.value: str(code.status) for code in ErrorCode}


def test_the_messages_page_names_every_kind_of_event() -> None:
    part = MESSAGES.partition("## Events")[2].partition("## Queries")[0]
    assert {kind for kind in get_args(EventKind) if f"`{kind}`" in part} == set(get_args(EventKind))


def test_the_http_page_lists_every_route_and_no_other() -> None:
    routes = [route for router in (*ROUTERS, *SOCKETS) for route in router.routes]
    offered = {
        (method, without_names(route.path))
        for route in routes
        if isinstance(route, APIRoute | APIWebSocketRoute)
        for method in (getattr(route, "methods", None) or {"WS"})
    }
    documentation = {("GET", path) for path in ("/docs", "/redoc", "/openapi.json")}
    assert listed_routes() == offered | documentation


def listed_routes() -> set[tuple[str, str]]:
    """Return the routes of the table; further names in a row are next to the first one."""
    found = set()
    for line in HTTP.partition("## Routes")[2].partition("\n## ")[0].splitlines():
        methods: list[str] = []
        path, complete = "", False
        for span in re.findall(r"`([^`]+)`", line.split("|")[1] if line.startswith("| `") else ""):
            method, _, rest = span.partition(" ")
            if method.startswith("/"):
                path = path.rpartition("/")[0] + method
            else:
                methods = [method] if complete else [*methods, method]
                path, complete = rest.partition("?")[0], bool(rest)
            found |= {(each, without_names(path)) for each in methods if path}
    return found


def without_names(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)


@pytest.mark.parametrize("subject", ENDPOINTS)
def test_the_messages_page_names_every_endpoint(subject: str) -> None:
    subject = subject.replace("{", "<").replace("}", ">")
    family, _, verb = subject.rpartition(".")
    part = MESSAGES.partition("## Subjects")[2].partition("## Signals")[0]
    row = next(line for line in part.splitlines() if f"`{family}." in line)
    assert f"`{subject}`" in row or f"`{verb}`" in row


@pytest.mark.parametrize(
    "op", ["cwt", "xwt", "wct", "significance", "benchmark", "schema", "health"]
)
def test_the_queries_table_has_the_fields_of_the_reply(op: str) -> None:
    part = MESSAGES.partition("## Queries")[2].partition("## Errors")[0]
    row = next(line for line in part.splitlines() if line.startswith(f"| `{op}` |"))
    listed = row.split("|")[3].strip(" `").split(", ")
    assert listed == list(ENDPOINTS[f"cwt.query.{op}"].reply.model_fields)
