"""Prometheus metrics: what is counted, and the page they are read from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Counter, Gauge, Histogram, start_http_server

__all__ = [
    "ANSWERS_CACHED",
    "CHUNKS",
    "EVENTS",
    "LAG",
    "SAMPLES",
    "TASKS_COMPUTED",
    "TASK_SECONDS",
    "WINDOWS_COMPUTED",
    "WINDOWS_EMITTED",
    "WINDOW_LATENCY",
    "WINDOW_SECONDS",
    "WORKERS_BUSY",
    "serve_metrics",
]

CHUNKS = Counter("cwt_chunks", "Signal chunks read from the log", ["stream"])
SAMPLES = Counter("cwt_samples", "Samples accepted, over all channels", ["stream"])
EVENTS = Counter("cwt_events", "Stream events published", ["stream", "kind"])
LAG = Gauge(
    "cwt_stream_lag_seconds", "How long the oldest unfinished chunk or window waits", ["stream"]
)
WINDOWS_EMITTED = Counter("cwt_windows_emitted", "Analysis windows put on the queue", ["stream"])
WINDOWS_COMPUTED = Counter("cwt_windows_computed", "Analysis windows by outcome", ["op", "outcome"])
WINDOW_SECONDS = Histogram("cwt_window_seconds", "Time to compute one window, seconds", ["op"])
WINDOW_LATENCY = Histogram(
    "cwt_window_latency_seconds", "From the last chunk's arrival to the computed result, seconds"
)
ANSWERS_CACHED = Counter(
    "cwt_answers_cached", "Queries answered with what was computed for another"
)
TASKS_COMPUTED = Counter("cwt_tasks_computed", "Tasks of jobs by outcome", ["type", "outcome"])
TASK_SECONDS = Histogram("cwt_task_seconds", "Time to compute one task of a job, seconds", ["type"])
WORKERS_BUSY = Gauge("cwt_workers_busy", "Windows and queries being computed at this moment")


@asynccontextmanager
async def serve_metrics(host: str, port: int | None) -> AsyncIterator[None]:
    """Serve the page while the context is open; with no port, do nothing."""
    if port is None:
        yield
        return
    server, thread = start_http_server(port, host)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
