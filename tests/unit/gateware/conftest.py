"""The gateware's tests run without tracing: a simulator under it takes twice as long."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have coverage, which is of the Python that is installed, look away here."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("no_cover")
