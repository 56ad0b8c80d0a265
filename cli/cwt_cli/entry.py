"""Where the command `pycwt-mod` begins; it says what to install if only the library is there."""

from __future__ import annotations

import sys

from cwt_runtime.installation import is_own_module

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from cwt_cli.__main__ import main as run
    except ModuleNotFoundError as error:
        if is_own_module(error.name):
            raise
        sys.exit(
            f"cannot run pycwt-mod: {error.name} is not installed; "
            "run pip install 'pycwt-mod[system]'"
        )
    run()
