"""Cost of the client's publisher, compared with the bare driver, on a separate server."""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

import anyio
import nats
import numpy as np
from anyio.from_thread import start_blocking_portal
from numpy.typing import NDArray

from benchmarks.clock import rounds
from benchmarks.measurement import Measurement, Work
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from pycwt_client import connect
from pycwt_client.log import library_log
from pycwt_client.sending import IN_FLIGHT
from pycwt_mod import __version__

CHANNELS = 200
#: Samples per chunk: 20 ms at 2 kHz.
CHUNK = 40

Samples = NDArray[np.float32]


def publishing_works(n: int, repeats: int) -> tuple[Work, ...]:
    """Measure publishing `n` samples of 200 channels until every chunk is acknowledged."""
    samples = np.random.default_rng(0).standard_normal((n, CHANNELS)).astype("<f4")
    ways: dict[str, Callable[[str, Samples], Awaitable[None]]] = {
        f"pycwt_client {__version__}, publish": partial(_publish, step=CHUNK),
        f"pycwt_client {__version__}, push one sample at a time": _push,
        f"nats-py {version('nats-py')}": _bare,
    }
    with _server() as url:
        spent: dict[str, list[float]] = {who: [] for who in ways}
        runs = rounds(
            [partial(_timed, url, samples, way, spent[who]) for who, way in ways.items()], repeats
        )
    measured = (
        Measurement(who=who, seconds=seconds, note=_note(samples, seconds, spent[who][1:]))
        for who, seconds in zip(ways, runs, strict=True)
    )
    title = (
        f"publish {n * CHANNELS / 1e6:g} million samples ({CHANNELS} channels, float32, chunks of "
        f"{CHUNK}, {IN_FLIGHT} in flight) until stored"
    )
    return (Work(title=title, measurements=tuple(measured)),)


def _note(samples: Samples, seconds: tuple[float, ...], cpu_s: list[float]) -> str:
    best = samples.size / min(seconds) / 1e6
    share = sum(cpu_s) / len(cpu_s) / samples.size * 4e5
    return (
        f"{best:.1f} million channel-samples/s; "
        f"400,000 per second take {100 * share:.1f} % of a core"
    )


def _timed(
    url: str, samples: Samples, way: Callable[[str, Samples], Awaitable[None]], cpu_s: list[float]
) -> None:
    before = _cpu_s()
    anyio.run(way, url, samples)
    cpu_s.append(_cpu_s() - before)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _publish(url: str, samples: Samples, *, step: int) -> None:
    async with connect(url) as client, client.publisher("bench") as publisher:
        for at in range(0, len(samples), step):
            await publisher.publish(samples[at : at + step])


async def _push(url: str, samples: Samples) -> None:
    async with connect(url) as client, client.publisher("bench", batch_samples=CHUNK) as publisher:
        for at in range(len(samples)):
            await publisher.push(samples[at : at + 1])


async def _bare(url: str, samples: Samples) -> None:
    client = await nats.connect(url)
    js = client.jetstream()
    free = asyncio.Semaphore(IN_FLIGHT)
    run = time.time_ns()

    async def store(at: int) -> None:
        async with free:
            body = samples[at : at + CHUNK].tobytes()
            await js.publish("cwt.signal.bench", body, headers={"Nats-Msg-Id": f"{run}/{at}"})

    await asyncio.gather(*(store(at) for at in range(0, len(samples), CHUNK)))
    await client.close()


@contextmanager
def _server() -> Iterator[str]:
    """Run a server with the system's streams, on an event loop in another thread."""
    with (
        tempfile.TemporaryDirectory() as folder,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(start_server(Path(folder) / "nats")) as server,
    ):
        portal.call(_declare, server.url)
        yield server.url


async def _declare(url: str) -> None:
    async with connect_bus(url, name="benchmark", log=library_log()) as bus:
        await bus.log.declare(system_topology(StorageSettings()))
