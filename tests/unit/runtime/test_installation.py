"""What belongs to this distribution."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cwt_runtime.installation import OWN_PACKAGES, is_own_module

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_the_own_packages_are_those_of_the_wheel() -> None:
    build = tomllib.loads(PYPROJECT.read_text())["tool"]["hatch"]["build"]
    packages = build["targets"]["wheel"]["packages"]
    assert {Path(each).name for each in packages} == OWN_PACKAGES


@pytest.mark.parametrize(
    ("name", "own"),
    [("cwt_runtime.bus", True), ("cwt_cli", True), ("click", False), ("nats.aio", False)],
)
def test_a_module_is_our_own_by_its_top_package(name: str, own: bool) -> None:
    assert is_own_module(name) is own


def test_an_import_error_without_a_name_is_not_ours() -> None:
    assert not is_own_module(None)
