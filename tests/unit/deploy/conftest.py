"""The files that deploy the system, read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository, which is the build context."""
    return ROOT


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    """compose.yaml, its anchors resolved."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded
