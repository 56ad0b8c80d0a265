"""The benchmarks run without tracing: other tests cover the code that they measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.template import COVERAGE

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave coverage out of the tests in this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("no_cover")


@pytest.fixture(autouse=True)
def _processes_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COVERAGE, raising=False)
