"""``python -m cwt_hwbridge``."""

from __future__ import annotations

import sys

from cwt_runtime.installation import exit_if_not_installed

with exit_if_not_installed("cwt_hwbridge", "system"):
    from cwt_hwbridge.app import serve
    from cwt_hwbridge.settings import HwBridgeSettings
    from cwt_runtime.process.lifecycle import run_service


def main() -> int:
    """Run the service; return the exit code."""
    return run_service("hwbridge", "the owner of the serial ports", HwBridgeSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
