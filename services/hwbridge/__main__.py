"""``python -m services.hwbridge``."""

from __future__ import annotations

import sys

from services.hwbridge.app import serve
from services.hwbridge.settings import HwBridgeSettings
from services.runtime.process.lifecycle import run_service


def main() -> int:
    """Run the service; return the exit code."""
    return run_service("hwbridge", "the owner of the serial ports", HwBridgeSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
