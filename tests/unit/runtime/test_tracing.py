"""Tracing is off unless it is asked for, and never delays the end of a service."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cwt_runtime.telemetry.tracing import EXPORT_S, span, trace_headers
from tests.deadlines import SCALE

#: A port that nothing listens on.
NOWHERE = "http://127.0.0.1:9"


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, since tracing lasts as long as a process."""
    environment = {
        **os.environ, "CWT_TRACES": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE,
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment, capture_output=True, text=True, timeout=60 * SCALE, check=False,
    )  # fmt: skip


def test_no_header_is_added_by_default() -> None:
    with span("a", {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}):
        assert trace_headers() == {}


@pytest.mark.slow
def test_a_collector_that_is_down_does_not_delay_the_end() -> None:
    ended = run(
        "import time\n"
        "from cwt_runtime.telemetry.tracing import *\n"
        "start_tracing('test', 'test-1')\n"
        "for _ in range(5000):\n"
        "    with span('a', {}):\n"
        "        assert trace_headers()['traceparent']\n"
        "begun = time.monotonic()\n"
        "stop_tracing()\n"
        "print(time.monotonic() - begun)\n"
    )
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout) < EXPORT_S + 2 * SCALE


@pytest.mark.slow
def test_a_service_says_what_is_missing_for_traces() -> None:
    ended = run(
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "from cwt_runtime.process.lifecycle import run_service\n"
        "from cwt_runtime.settings import ServiceSettings\n"
        "sys.exit(run_service('test', '', ServiceSettings, None))\n"
    )
    assert ended.returncode == 78, ended.stderr
    assert "CWT_TRACES: cannot import OpenTelemetry" in ended.stderr
    assert "pip install 'pycwt-mod[otel]'" in ended.stderr
