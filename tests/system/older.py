"""Services of version 0.1.0, run from a checkout of their tree, and the store that they leave.

`tests/data/store-0.1.0.tar.xz` is the data folder of a server after such services were killed: the
first chunks are computed, the next ones are in windows that wait for a worker or were given to one,
and the newest ones no ingest has read; a job is half done. To make it again, from a commit whose
services are in the package `services`::

    git worktree add var/old cd0b557
    python -m tests.system.older var/old
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import anyio

from cwt_runtime.bus import Bus
from cwt_runtime.telemetry.logs import Action
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import SignalChunk
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.jobs import JobClient
from tests.system.conftest import POLL_S, RunningSystem
from tests.system.outliving import DEFINITION, RECORDING, STREAM, TASKS, server_on
from tests.system.scenario import checkpointed

__all__ = ["ARCHIVE", "JOB", "SETTINGS", "STORED", "start_older"]

ARCHIVE = Path(__file__).parents[1] / "data" / "store-0.1.0.tar.xz"
#: Number of chunks that workers have computed, that ingest has read, and that are stored.
COMPUTED, READ, STORED = 20, 40, 50
JOB = "upgraded"
#: Nothing in the archive expires.
SETTINGS = {
    "CWT_SIGNALS_MAX_AGE_S": "0",
    "CWT_RESULTS_MAX_AGE_S": "0",
    "CWT_JOBS_MAX_AGE_S": "0",
    "CWT_OBJECTS_MAX_AGE_S": "0",
}


async def start_older(system: RunningSystem, tree: Path, name: str, service: str) -> None:
    """Start a service of the tree as `name`, and wait until it is ready."""
    variables = {"PYTHONPATH": str(tree), "CWT_NATS_URL": system.url, **system.environment}
    with (system.folder / f"{name}.log").open("ab") as output:
        system.processes[name] = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-m", f"services.{service}"],
            cwd=tree,
            env={**os.environ, **variables},
            stdout=output,
            stderr=output,
        )
    await system.said(name, Action.READY)


async def _write_store(tree: Path, folder: Path) -> None:
    async with server_on(folder, **SETTINGS) as system:
        bus = system.bus
        await start_older(system, tree, "ingest", "ingest")
        await start_older(system, tree, "compute", "compute")
        await Client(bus).put_stream(DEFINITION)
        chunks = RECORDING.chunks()
        await _send(bus, chunks[:COMPUTED])
        await checkpointed(bus, COMPUTED)
        await _until(bus, storage.WINDOWS, storage.COMPUTE_WINDOWS, in_flight=False)

        jobs = JobClient(bus)
        await jobs.submit(*TASKS, job_id=JOB)
        await jobs.ended(JOB, done=2)
        system.processes["compute"].send_signal(signal.SIGSTOP)
        await _until(bus, storage.TASKS, storage.COMPUTE_TASKS, in_flight=True)
        await _send(bus, chunks[COMPUTED:READ])
        await checkpointed(bus, READ)
        await _until(bus, storage.WINDOWS, storage.COMPUTE_WINDOWS, in_flight=True)
        system.kill("compute")
        system.kill("ingest")
        await _send(bus, chunks[READ:STORED])


async def _send(bus: Bus, chunks: Iterable[SignalChunk]) -> None:
    """Publish chunks with the ids and headers of version 0.1.0."""
    for chunk in chunks:
        await bus.log.store(
            subjects.signal(STREAM),
            encode(chunk, ContentType.MSGPACK),
            msg_id=f"{STREAM}/{chunk.epoch}/{chunk.first_sample}",
            headers={CONTENT_TYPE: ContentType.MSGPACK.value},
        )


async def _until(bus: Bus, queue: str, consumer: str, *, in_flight: bool) -> None:
    """Wait until a worker has something from the queue or, if not `in_flight`, it is empty."""
    with fail_after(60):
        while True:
            backlog = await bus.log.backlog(queue, consumer)
            if backlog.in_flight if in_flight else backlog.waiting == backlog.in_flight == 0:
                return
            await anyio.sleep(POLL_S)


def main() -> None:
    """Write the archive with the services of the tree that the command line names."""
    tree = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(_write_store, tree, Path(folder))
        with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
            archive.add(Path(folder) / "nats" / "jetstream", "jetstream")


if __name__ == "__main__":
    main()
