"""What the command `pycwt-mod` reports if it cannot be imported."""

from __future__ import annotations

import sys

import pytest

from cwt_cli.entry import main


def test_a_missing_dependency_is_reported_with_the_extra_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "cwt_cli.__main__", raising=False)
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit, match=r"typer is not installed; .* with the extra 'system'"):
        main()


def test_a_missing_module_of_our_own_is_not_reported_as_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Any missing module was, so a broken installation sent its user to pip.
    monkeypatch.setitem(sys.modules, "cwt_cli.__main__", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        main()
    assert caught.value.name == "cwt_cli.__main__"
