"""Backends that the library loads, and the fork server, import nothing that only services need."""

from __future__ import annotations

import subprocess
import sys

import pytest

SERVICES_ALONE = ("structlog", "pydantic_settings", "cwt_runtime.settings", "cwt_runtime.telemetry")


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", ["cwt_compute.cluster", "cwt_compute.devices.backends", "cwt_compute.process_main"]
)
def test_log_and_settings_are_not_imported_where_only_the_bus_is_needed(module: str) -> None:
    """A program that lists its backends paid for them, and every fork had them in memory."""
    code = f"import sys, {module}; print([m for m in {SERVICES_ALONE!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
