"""Entry point of `pycwt-mod`; reports what to install if only the library is installed."""

from __future__ import annotations

from cwt_runtime.installation import exit_if_not_installed

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    with exit_if_not_installed("pycwt-mod", "system"):
        from cwt_cli.__main__ import main as run
    run()
