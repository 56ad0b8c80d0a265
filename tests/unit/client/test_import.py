"""What `import pycwt_client` reports if it fails."""

from __future__ import annotations

import runpy
import sys

import pytest

import pycwt_client


def import_again() -> None:
    """Run the package's `__init__` once more, apart from the imported package."""
    runpy.run_path(pycwt_client.__file__)


def test_a_missing_dependency_is_reported_with_the_extra_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "pycwt_client.answers")
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ModuleNotFoundError, match=r"numpy is not installed; .* the extra 'system'"):
        import_again()


def test_a_missing_module_of_our_own_is_not_reported_as_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Any missing module was, so a broken installation sent its user to pip.
    monkeypatch.setitem(sys.modules, "pycwt_client.client", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        import_again()
    assert caught.value.name == "pycwt_client.client"
    assert "pip install" not in str(caught.value)
