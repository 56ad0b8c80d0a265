"""Tell a missing dependency from a missing part of this distribution."""

from __future__ import annotations

__all__ = ["OWN_PACKAGES", "is_own_module"]

#: The packages in the wheel, those of `tool.hatch.build.targets.wheel` in pyproject.toml.
OWN_PACKAGES = frozenset(
    {
        "cwt_cli", "cwt_compute", "cwt_gateware", "cwt_hwbridge", "cwt_ingest", "cwt_runtime",
        "cwt_schemas", "pycwt_client", "pycwt_mod",
    }
)  # fmt: skip


def is_own_module(name: str | None) -> bool:
    """Return whether the module called `name` belongs to this distribution.

    If such a module cannot be imported, the installation is broken or an import is wrong:
    installing an extra does not help.
    """
    return name is not None and name.partition(".")[0] in OWN_PACKAGES
