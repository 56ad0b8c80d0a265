"""The commands of docs/backup.md: a backup of a running system, and its restore."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import anyio
import pytest

from tests.deadlines import fail_after
from tests.jobs import JobClient
from tests.system.conftest import RunningSystem
from tests.system.nats_cli.conftest import NATS
from tests.system.nats_cli.test_nats_cli import environment
from tests.system.outliving import (
    CHUNKS,
    DEFINITION,
    RECORDING,
    STREAM,
    TASKS,
    check_job,
    check_results,
    publish,
    results,
    server_on,
    start,
)
from tests.system.recording import check

pytestmark = [pytest.mark.anyio, pytest.mark.system]

PAGE = Path(__file__).parents[3] / "docs" / "backup.md"
WHILE_STOPPED, WHILE_IT_WORKS, RESTORE = re.findall(
    r"```sh run\n(.*?)```", PAGE.read_text(), re.DOTALL
)


async def run(commands: str, system: RunningSystem, backup: Path) -> None:
    assert NATS is not None
    path = os.pathsep.join((str(Path(NATS).parent), os.environ["PATH"]))
    variables = {"NATS_URL": system.url, "PATH": path, "backup": str(backup)}
    with fail_after(60):
        done = await anyio.run_process(
            ["bash", "-euo", "pipefail", "-c", commands],
            env={**environment(system), **variables},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            check=False,
        )
    assert done.returncode == 0, done.stdout.decode()


async def test_a_system_backed_up_while_it_works_loses_nothing(tmp_path: Path) -> None:
    tasks = TASKS[:4]
    first, second, backup = tmp_path / "first", tmp_path / "second", tmp_path / "backup"
    first.mkdir()
    second.mkdir()
    async with server_on(first) as system:
        client = await start(system)
        await client.put_stream(DEFINITION)
        await JobClient(system.bus).submit(*tasks, job_id="job")
        async with (
            client.publisher(STREAM, RECORDING.epoch) as publisher,
            anyio.create_task_group() as publishing,
        ):
            publishing.start_soon(publish, publisher, 0, CHUNKS // 2)
            await run(WHILE_IT_WORKS, system, backup)
    async with server_on(second) as system:
        await run(RESTORE, system, backup)
        client = await start(system)
        async with client.publisher(STREAM, RECORDING.epoch) as publisher:
            # The device does not know which samples are in the restored log.
            await publish(publisher, 0, CHUNKS)
            await publisher.finish()
        check(await results(system.bus), DEFINITION, RECORDING)
        await check_job(system.bus, "job", tasks)


async def test_a_system_backed_up_without_services_repeats_nothing(tmp_path: Path) -> None:
    first, second, backup = tmp_path / "first", tmp_path / "second", tmp_path / "backup"
    first.mkdir()
    second.mkdir()
    async with server_on(first) as system:
        client = await start(system)
        await client.put_stream(DEFINITION)
        async with client.publisher(STREAM, RECORDING.epoch) as publisher:
            await publish(publisher, 0, 30)
            await system.stop_all()
            await publish(publisher, 30, 40)
        await run(WHILE_STOPPED, system, backup)
    async with server_on(second) as system:
        await run(RESTORE, system, backup)
        client = await start(system)
        async with client.publisher(STREAM, RECORDING.epoch) as publisher:
            await publish(publisher, 40, CHUNKS)
            await publisher.finish()
        await check_results(system.bus)
