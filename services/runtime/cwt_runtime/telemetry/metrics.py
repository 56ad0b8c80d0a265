"""The Prometheus metrics of the services."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

__all__ = [
    "ANSWERS_CACHED",
    "BUS_IGNORED",
    "BUS_LOST",
    "CHUNKS",
    "DEVICE_USABLE",
    "ESTIMATES",
    "EVENTS",
    "HTTP_REQUESTS",
    "HTTP_SECONDS",
    "LAG",
    "LOOP_LAG",
    "QUEUE_MESSAGES",
    "SAMPLES",
    "STORAGE_PROBLEMS",
    "TASKS_COMPUTED",
    "TASK_SECONDS",
    "WINDOWS_COMPUTED",
    "WINDOWS_EMITTED",
    "WINDOW_LATENCY",
    "WINDOW_SECONDS",
    "WORKERS_BUSY",
]

CHUNKS = Counter("cwt_chunks", "Signal chunks read from the log", ["stream"])
SAMPLES = Counter("cwt_samples", "Samples accepted, over all channels", ["stream"])
EVENTS = Counter("cwt_events", "Stream events published", ["stream", "kind"])
LAG = Gauge(
    "cwt_stream_lag_seconds", "Age of the oldest unfinished chunk or window, seconds", ["stream"]
)
LOOP_LAG = Gauge(
    "cwt_event_loop_lag_seconds",
    "Longest delay of the event loop in the last half to full minute, seconds",
)
WINDOWS_EMITTED = Counter(
    "cwt_windows_emitted", "Analysis windows published to the queue", ["stream"]
)
WINDOWS_COMPUTED = Counter(
    "cwt_windows_computed", "Analysis windows computed, by outcome", ["op", "outcome"]
)
WINDOW_SECONDS = Histogram("cwt_window_seconds", "Time to compute one window, seconds", ["op"])
WINDOW_LATENCY = Histogram(
    "cwt_window_latency_seconds",
    "Time from the last chunk's arrival to the computed result, seconds",
)
ESTIMATES = Counter("cwt_estimates", "Provisional estimates, by outcome", ["outcome"])
ANSWERS_CACHED = Counter("cwt_answers_cached", "Queries answered with the reply to an equal query")
BUS_IGNORED = Counter(
    "cwt_bus_ignored", "Messages ignored because they are not addressed to this process"
)
TASKS_COMPUTED = Counter(
    "cwt_tasks_computed", "Tasks of jobs computed, by outcome", ["type", "outcome"]
)
BUS_LOST = Counter("cwt_bus_lost", "Connections to NATS lost")
QUEUE_MESSAGES = Gauge(
    "cwt_queue_messages", "Messages of a work queue not yet acknowledged", ["queue"]
)
STORAGE_PROBLEMS = Gauge(
    "cwt_storage_problems", "Storage problems found by ingest, as reported by health"
)
DEVICE_USABLE = Gauge(
    "cwt_device_usable",
    "Whether a device on a serial port is usable (1) or not (0)",
    ["device", "kind"],
)
TASK_SECONDS = Histogram("cwt_task_seconds", "Time to compute one task of a job, seconds", ["type"])
WORKERS_BUSY = Gauge("cwt_workers_busy", "Windows and queries being computed now")
HTTP_REQUESTS = Counter(
    "cwt_http_requests", "HTTP requests, by outcome", ["route", "method", "status"]
)
HTTP_SECONDS = Histogram("cwt_http_seconds", "Time to answer an HTTP request, seconds", ["route"])
