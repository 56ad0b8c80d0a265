"""``python -m services.compute``."""

from __future__ import annotations

import sys

from services.compute.app import serve
from services.compute.settings import ComputeSettings
from services.runtime.process.lifecycle import run_service


def main() -> int:
    """Run the service; return the exit code."""
    return run_service("compute", "windows, queries and jobs to results", ComputeSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
