"""Distinguish a missing dependency from a broken installation, and suggest what to install."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["OWN_PACKAGES", "exit_if_not_installed", "install_hint", "is_own_module"]

#: The packages in the wheel, as in `tool.hatch.build.targets.wheel` in pyproject.toml.
OWN_PACKAGES = frozenset(
    {
        "cwt_cli", "cwt_compute", "cwt_gateware", "cwt_gateway", "cwt_hwbridge", "cwt_ingest",
        "cwt_runtime", "cwt_schemas", "pycwt_client", "pycwt_mod",
    }
)  # fmt: skip


def is_own_module(name: str | None) -> bool:
    """Return whether the module called `name` belongs to this distribution.

    If such a module cannot be imported, the installation is broken or an import is wrong:
    installing an extra does not help.
    """
    return name is not None and name.partition(".")[0] in OWN_PACKAGES


def install_hint(extra: str) -> str:
    """Return the advice to install an extra, as the end of an error message.

    The package is not on PyPI. `pycwt_mod.plot` cannot import this module and has a copy of the
    text.
    """
    return f"install pycwt-mod with the extra '{extra}' (in a clone: pip install '.[{extra}]')"


@contextmanager
def exit_if_not_installed(program: str, extra: str) -> Iterator[None]:
    """Exit with a one-line message if an import in the block lacks a dependency of `extra`."""
    try:
        yield
    except ModuleNotFoundError as error:
        if is_own_module(error.name):
            raise
        sys.exit(f"cannot run {program}: {error.name} is not installed; {install_hint(extra)}")
