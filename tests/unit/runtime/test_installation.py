"""What belongs to this distribution."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from services.runtime.installation import OWN_PACKAGES, is_own_module

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_the_own_packages_are_those_of_the_wheel() -> None:
    build = tomllib.loads(PYPROJECT.read_text())["tool"]["hatch"]["build"]
    assert set(build["targets"]["wheel"]["packages"]) == OWN_PACKAGES


@pytest.mark.parametrize(
    ("name", "own"),
    [("services.runtime.bus", True), ("cli", True), ("click", False), ("nats.aio", False)],
)
def test_a_module_is_our_own_by_its_top_package(name: str, own: bool) -> None:
    assert is_own_module(name) is own


def test_an_import_error_without_a_name_is_not_ours() -> None:
    assert not is_own_module(None)
