"""``python -m cwt_compute``."""

from __future__ import annotations

import sys

from cwt_runtime.installation import exit_if_not_installed

with exit_if_not_installed("cwt_compute", "system"):
    from cwt_compute.app import serve
    from cwt_compute.settings import ComputeSettings
    from cwt_runtime.process.lifecycle import run_service


def main() -> int:
    """Run the service; return the exit code."""
    return run_service("compute", "windows, queries and jobs to results", ComputeSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
