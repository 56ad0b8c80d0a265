"""``python -m cwt_gateway``."""

from __future__ import annotations

import sys

from cwt_runtime.installation import exit_if_not_installed

with exit_if_not_installed("cwt_gateway", "gateway"):
    from cwt_gateway.app import serve
    from cwt_gateway.service import SERVICE
    from cwt_gateway.settings import GatewaySettings
    from cwt_runtime.process.lifecycle import run_service


def main() -> int:
    """Run the service; return the exit code."""
    return run_service(SERVICE, "the bus over HTTP and WebSocket", GatewaySettings, serve)


if __name__ == "__main__":
    sys.exit(main())
