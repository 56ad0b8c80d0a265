"""Measure the storage and the work queues for Prometheus, which does not request the health."""

from __future__ import annotations

from contextlib import suppress

import anyio

from cwt_runtime.bus import DurableLog
from cwt_runtime.bus.errors import BusError
from cwt_runtime.storage.health import QUEUES, storage_problems
from cwt_runtime.telemetry import metrics

__all__ = ["measure_storage", "monitor_storage"]

#: Each measurement takes about thirty small requests. Prometheus usually scrapes as often.
INTERVAL_S = 15.0


async def monitor_storage(log: DurableLog) -> None:
    """Measure until cancelled. While the server is down, the queues keep their last values."""
    while True:
        await measure_storage(log)
        await anyio.sleep(INTERVAL_S)


async def measure_storage(log: DurableLog) -> None:
    """Set the metrics of the storage and of the work queues."""
    metrics.STORAGE_PROBLEMS.set(len(await storage_problems(log)))
    for stream, durable in QUEUES.items():
        with suppress(BusError):  # counted as a problem
            backlog = await log.backlog(stream, durable)
            metrics.QUEUE_MESSAGES.labels(stream).set(backlog.waiting + backlog.in_flight)
