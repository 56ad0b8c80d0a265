"""What belongs to this distribution."""

from __future__ import annotations

import importlib
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

from cwt_runtime.installation import OWN_PACKAGES, exit_if_not_installed, is_own_module

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


def test_a_program_without_its_dependencies_ends_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "anyio", None)
    monkeypatch.delitem(sys.modules, "cwt_compute.app", raising=False)
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("cwt_compute", run_name="__main__")
    assert caught.value.code == (
        "cannot run cwt_compute: anyio is not installed; "
        "install pycwt-mod with the extra 'system' (in a clone: pip install '.[system]')"
    )


def test_a_program_without_a_module_of_our_own_keeps_its_traceback() -> None:
    with pytest.raises(ModuleNotFoundError), exit_if_not_installed("cwt_compute", "system"):
        importlib.import_module("cwt_compute.nothing")
