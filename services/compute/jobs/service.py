"""The jobs' part of a compute service: its endpoints, and its share of the work."""

from __future__ import annotations

from dataclasses import dataclass

from services.compute.calculator import CalculatorPool
from services.compute.jobs.api import JobDesk
from services.compute.jobs.progress import Announcer
from services.compute.jobs.store import JobStore
from services.compute.jobs.worker import JobWorker
from services.runtime.bus import Bus
from services.runtime.rpc.endpoint import Endpoint
from services.runtime.telemetry.logs import Log

__all__ = ["Jobs", "open_jobs"]


@dataclass(frozen=True)
class Jobs:
    """What a service has to answer and to run."""

    endpoints: list[Endpoint]
    worker: JobWorker


async def open_jobs(bus: Bus, pool: CalculatorPool, *, name: str, max_tries: int, log: Log) -> Jobs:
    """Return the jobs' part of the service called `name`."""
    store = await JobStore.open(bus.log, log)
    announcer = Announcer(bus, store, log)
    worker = JobWorker(
        bus.log,
        store,
        pool,
        announcer,
        name=name,
        max_tries=max_tries,
        max_message_bytes=bus.max_message_bytes,
        log=log,
    )
    return Jobs(
        JobDesk(store, log, announcer.mark, max_message_bytes=bus.max_message_bytes).endpoints(),
        worker,
    )
