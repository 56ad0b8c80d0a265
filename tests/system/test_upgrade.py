"""A system of version 0.1.0 is upgraded: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest

from cwt_schemas.job import SignificanceTask
from pycwt_client import Client
from tests.jobs import JobClient
from tests.system.older import ARCHIVE, JOB, SETTINGS, STORED, start_older
from tests.system.outliving import (
    CHUNKS,
    DEFINITION,
    RECORDING,
    STREAM,
    TASKS,
    check_job,
    check_results,
    publish,
    server_on,
    start,
)

pytestmark = [pytest.mark.anyio, pytest.mark.system]

#: A checkout of version 0.1.0, whose services a test replaces while they run.
OLD_TREE = Path(os.environ.get("CWT_OLD_TREE", "")).absolute()
#: A task whose outcome depends on the version.
LEVEL = SignificanceTask(
    type="significance", al1=0.5, al2=0.5, dt=1.0, dj=0.25, s0=2.0, J=8, mc_count=20
)


async def test_a_store_of_version_0_1_0_is_read_and_its_work_is_finished(tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE) as archive:
        # Python 3.11.0 to 3.11.3 have no filters.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path / "nats")
    async with server_on(tmp_path, **SETTINGS) as system:
        client = await start(system)
        async with client.publisher(STREAM, RECORDING.epoch) as publisher:
            await publish(publisher, STORED, CHUNKS)
            await publisher.finish()
        # Version 0.1.0 has no markers.
        await client.mark(STREAM, "upgraded", epoch=RECORDING.epoch, first_sample=10)
        await check_results(system.bus)
        await check_job(system.bus, JOB)


@pytest.mark.skipif(
    "CWT_OLD_TREE" not in os.environ, reason="CWT_OLD_TREE is not the path of version 0.1.0"
)
async def test_running_services_of_version_0_1_0_are_replaced_one_by_one(tmp_path: Path) -> None:
    async with server_on(tmp_path) as system:
        client, jobs = Client(system.bus), JobClient(system.bus)
        await start_older(system, OLD_TREE, "old-ingest", "ingest")
        for name in ("old-compute-0", "old-compute-1"):
            await start_older(system, OLD_TREE, name, "compute")
        # An upgraded client works with services that are not.
        await client.put_stream(DEFINITION)
        await jobs.submit(*TASKS, job_id="first")
        steps: list[Callable[[], Coroutine[Any, Any, object]]] = [
            lambda: system.start("compute-0", "compute"),
            lambda: jobs.submit(*TASKS, LEVEL, job_id="second"),
            lambda: system.stop("old-compute-0"),
            lambda: system.start("ingest", "ingest"),
            lambda: system.stop("old-ingest"),
            lambda: system.start("compute-1", "compute"),
            lambda: jobs.ended("second"),
            lambda: system.stop("old-compute-1"),
        ]
        async with client.publisher(STREAM, RECORDING.epoch) as publisher:
            part = CHUNKS // len(steps)
            for number, step in enumerate(steps):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(step)
                    await publish(publisher, number * part, (number + 1) * part)
            await publisher.finish()
        await check_results(system.bus)
        await check_job(system.bus, "first")
        await check_job(system.bus, "second", [*TASKS, LEVEL])
