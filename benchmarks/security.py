"""``python -m benchmarks.security``: measure what users, TLS and keys add to the times."""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import httpx
import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.gateway import CHUNK, FS_HZ, MSGPACK, chunks, note, warmed, with_percentiles
from benchmarks.live.streams import PAIR_HOP_S, pair, power
from benchmarks.machine import machine, versions
from benchmarks.measurement import Work
from benchmarks.queries import Size, in_turns
from benchmarks.report import page
from cwt_cli.ports import http_address
from cwt_cli.shell import command_log
from cwt_cli.system import SystemPlan, running_system
from cwt_cli.up import CLIENTS, ensure_accounts
from cwt_runtime.accounts.folder import settings_of
from cwt_runtime.storage.keys import add_key
from cwt_schemas import storage
from cwt_schemas.access import Role
from cwt_schemas.codec import ContentType, encode, validated
from cwt_schemas.query import WctRequest
from pycwt_client import Client, connect

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks-security.md"
TITLE = "# Benchmarks of users, TLS and keys"
WORKERS = 1
TEXT = """\
The rows are systems that ran at the same time. With users, the device, the reader and the analyst
are users of separate accounts, the reader reads copies of the streams, and HTTP requests have a key
of the analyst. With TLS, every connection to the NATS server is encrypted too, as with
`pycwt-mod up --secure`; HTTP is not.

## Machine"""
#: The only stream that the user `icu` may publish to.
STREAM = "icu"
#: Chunks of a run of publishing, of 200 channels and 16 kB.
PUBLISHED = 500
#: Above the requests and bytes of a run.
RATES = {
    "CWT_HTTP_REQUESTS_PER_MINUTE": "1000000",
    "CWT_HTTP_BYTES_PER_MINUTE": str(2**40),
}

#: Runs of the latency of results.
PLAYS = 3

#: About ten minutes.
FULL = Size(samples=10_000, runs=15, small_runs=1000, clients=1, seconds=30)
QUICK = Size(samples=500, runs=1, small_runs=5, clients=1, seconds=1)


@dataclass(frozen=True, kw_only=True)
class System:
    """Clients of one system: one connection for each user, and HTTP with a key."""

    operator: Client
    device: Client
    reader: Client
    analyst: Client
    http: httpx.AsyncClient


Systems = Mapping[str, System]


@asynccontextmanager
async def running(folder: Path, *, users: bool, tls: bool) -> AsyncIterator[System]:
    """Run a system with the accounts of `pycwt-mod up --secure`, or without users."""
    accounts = folder / "accounts" if users else None
    if accounts is not None:
        ensure_accounts(accounts)
    http = http_address(-1)
    assert http is not None, "the extra 'gateway' is not installed"
    plan = SystemPlan(
        server=None, folder=folder / "nats", host="127.0.0.1", port=-1, workers=WORKERS,
        http=http, log_folder=folder / "logs", accounts=accounts, tls=tls,
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        log = command_log(quiet=True)
        system = await stack.enter_async_context(running_system(plan, log, kill=anyio.Event()))
        names = ("icu", "reader", "analyst")
        settings = dict.fromkeys(names, system.server)
        headers = {}
        if accounts is not None:
            url = system.server.url
            settings = {each.name: settings_of(each, accounts, url) for each in CLIENTS}
            keys = await system.client.bus.log.bucket(storage.KV_KEYS)
            key = await add_key(keys, "bench", Role.ANALYST, "analyst")
            headers = {"Authorization": f"Bearer {key}"}
        device, reader, analyst = [
            await stack.enter_async_context(connect(settings[name], name=f"bench-{name}"))
            for name in names
        ]
        client = httpx.AsyncClient(base_url=http.origin, timeout=120, headers=headers)
        yield System(
            operator=system.client,
            device=device,
            reader=reader,
            analyst=analyst,
            http=await stack.enter_async_context(client),
        )


async def compared(
    title: str, works: Mapping[str, Callable[[], Awaitable[object]]], runs: int
) -> Work:
    """Measure the work on each system, in turns."""
    return Work(title=title, measurements=with_percentiles(await in_turns(works, runs)))


async def publishing_work(systems: Systems, size: Size) -> Work:
    """Measure the device publishing, until the last chunk is acknowledged."""
    stream = power(STREAM, 200, hop_s=1.0).model_copy(update={"analyses": ()})
    samples = np.random.default_rng(1).standard_normal((CHUNK, 200)).astype(np.float32)
    epochs = itertools.count()

    async def published(system: System) -> None:
        async with system.device.publisher(STREAM, f"p{next(epochs)}") as publisher:
            for _ in range(PUBLISHED):
                await publisher.publish(samples)

    for system in systems.values():
        await system.operator.put_stream(stream)
    title = f"{PUBLISHED} chunks of {samples.nbytes / 1000:.0f} kB published and acknowledged"
    works = {name: partial(published, system) for name, system in systems.items()}
    return await compared(title, works, size.runs)


async def latency_work(systems: Systems, size: Size) -> Work:
    """Measure the time from the last chunk that a result needs to its reader."""
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for system in systems.values():
        await system.operator.put_stream(pair(STREAM, PAIR_HOP_S))
    for run in range(PLAYS):
        for name, system in systems.items():
            seconds[name] += await latency(system, f"l{run}", size)
    title = (
        f"chunk sent by the device to result received by the reader, 2 channels at 1 kHz in "
        f"chunks of {CHUNK} ms, {size.seconds:g} s per run"
    )
    return Work(title=title, measurements=with_percentiles(seconds))


async def latency(system: System, epoch: str, size: Size) -> list[float]:
    """Return the seconds of each result of an epoch."""
    sent: list[float] = []
    taken: list[float] = []
    last = round(size.seconds * FS_HZ)

    async def send() -> None:
        async with system.device.publisher(STREAM, epoch) as publisher:
            async for chunk in chunks(size.seconds):
                sent.append(time.perf_counter())
                await publisher.publish(chunk)
            await publisher.finish()

    async with system.reader.results(STREAM) as results, anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        with anyio.move_on_after(size.seconds + 5):
            async for result in results:
                if result.epoch != epoch:
                    continue
                note(result.input.model_dump(), sent, taken, size)
                if result.t.first_sample + result.t.step * result.t.n >= last:
                    break
        tasks.cancel_scope.cancel()
    return warmed(taken)


async def query_works(systems: Systems, size: Size) -> list[Work]:
    """Measure queries of the analyst over the bus, and over HTTP with its key."""
    x, y = np.random.default_rng(1).standard_normal((2, size.samples))
    # Use a different signal each time, because workers cache replies.
    offsets = itertools.count(1)
    headers = {**MSGPACK, "Accept-Encoding": "identity"}

    async def coherence(system: System) -> None:
        await system.analyst.wct(x + next(offsets), y, 1.0, 0.25, significance_level=None)

    async def over_http(system: System) -> None:
        fields = {"signal1": x + next(offsets), "signal2": y, "dt": 1.0, "significance_level": None}
        body = encode(validated(WctRequest, fields), ContentType.MSGPACK)
        answer = await system.http.post("/api/v1/wavelet/wct", content=body, headers=headers)
        answer.raise_for_status()

    async def backends(system: System) -> None:
        (await system.http.get("/api/v1/backends/")).raise_for_status()

    async def health(system: System) -> None:
        await system.analyst.health()

    def on_each(
        work: Callable[[System], Awaitable[object]],
    ) -> Mapping[str, Callable[[], Awaitable[object]]]:
        return {name: partial(work, system) for name, system in systems.items()}

    samples = f"wct of {size.samples:,} samples without a level"
    return [
        await compared("health over the bus", on_each(health), size.small_runs),
        await compared("backends over HTTP", on_each(backends), size.small_runs),
        await compared(f"{samples}, over the bus", on_each(coherence), size.runs),
        await compared(f"{samples}, over HTTP", on_each(over_http), size.runs),
    ]


async def measure(size: Size) -> list[Work]:
    """Run all measurements on three systems that run at the same time."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        systems = {}
        for name, users, tls in (
            ("no users", False, False),
            ("users", True, False),
            ("users and TLS", True, True),
        ):
            own = folder / name.replace(" ", "-")
            systems[name] = await stack.enter_async_context(running(own, users=users, tls=tls))
        return [
            await publishing_work(systems, size),
            await latency_work(systems, size),
            *await query_works(systems, size),
        ]


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.security", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small run; prints the tables, writes no page"
    )
    parser.add_argument("--output", type=Path, help="file for the page")
    given = parser.parse_args(arguments)
    os.environ |= RATES
    with threadpool_limits(1):
        works = anyio.run(measure, QUICK if given.quick else FULL)
    command = "python -m benchmarks.security"
    text = page(works, machine(), versions(), command + (" --quick" if given.quick else ""))
    text = text.replace("# Benchmarks\n", f"{TITLE}\n", 1).replace("## Machine", TEXT, 1)
    text = text.replace("`python -m benchmarks --quick`", f"`{command} --quick`")
    output = given.output or (None if given.quick else PAGE)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
