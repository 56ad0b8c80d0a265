"""``python -m cwt_ingest``."""

from __future__ import annotations

import sys

from cwt_runtime.installation import exit_if_not_installed

with exit_if_not_installed("cwt_ingest", "system"):
    from cwt_ingest.app import serve
    from cwt_ingest.settings import IngestSettings
    from cwt_runtime.process.lifecycle import run_service


def main() -> int:
    """Run the service; return the exit code."""
    return run_service("ingest", "signal chunks to analysis windows", IngestSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
