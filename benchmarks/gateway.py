"""``python -m benchmarks.gateway``: overhead of HTTP and WebSocket, and many clients."""

from __future__ import annotations

import argparse
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import msgpack  # type: ignore[import-untyped]
import numpy as np
from threadpoolctl import threadpool_limits
from websockets.asyncio.client import connect as connect_socket

from benchmarks.http_clients import get_times, load_work
from benchmarks.machine import machine, versions
from benchmarks.measurement import Measurement, Work
from benchmarks.page import page_works
from benchmarks.queries import Size, in_turns, timed
from benchmarks.report import page
from cwt_cli.shell import command_log
from cwt_cli.system import SystemPlan, running_system
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode, validated
from cwt_schemas.query import WctRequest
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client
from pycwt_client.request import ask_packed

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks-http.md"
TITLE = "# Benchmarks of HTTP and WebSocket"
WORKERS = 2
FS_HZ = 1000.0
CHUNK = 20
MSGPACK = {"Content-Type": "application/msgpack", "Accept": "application/msgpack"}

FULL = Size(samples=10_000, runs=15, small_runs=2000, clients=64, seconds=60)
QUICK = Size(samples=500, runs=2, small_runs=20, clients=8, seconds=1)


async def coherence_work(http: httpx.AsyncClient, client: Client, size: Size) -> Work:
    """Measure the same coherence over HTTP and over the bus, from bytes to bytes."""
    x, y = np.random.default_rng(1).standard_normal((2, size.samples))
    # Use a separate seed for each, because workers cache simulated levels.
    seeds = itertools.count(1)

    def body() -> bytes:
        fields = {"signal1": x, "signal2": y, "dt": 1.0, "seed": next(seeds)}
        return encode(validated(WctRequest, fields), ContentType.MSGPACK)

    async def bus() -> None:
        subject = subjects.query("wct")
        await ask_packed(client.bus, subject, body(), ContentType.MSGPACK, timeout_s=60)

    async def post(accept: str) -> None:
        headers = {**MSGPACK, "Accept": accept, "Accept-Encoding": "identity"}
        answer = await http.post("/api/v1/wavelet/wct", content=body(), headers=headers)
        answer.raise_for_status()

    works: dict[str, Callable[[], Awaitable[object]]] = {
        "bus, msgpack": bus,
        "HTTP, msgpack": partial(post, "application/msgpack"),
        "HTTP, NumPy archive": partial(post, "application/x-npz"),
        "HTTP, JSON": partial(post, "application/json"),
    }
    found = await in_turns(works, size.runs)
    lines = [Measurement(who=name, seconds=seconds) for name, seconds in found.items()]
    title = f"wct of {size.samples:,} samples, float64, level of 300 pairs"
    return Work(title=title, measurements=tuple(lines))


async def small_work(url: str, client: Client, size: Size) -> Work:
    """Measure requests without computation on an idle system.

    The client is that of Python's standard library, because others take longer than the gateway.
    """
    seconds: dict[str, Sequence[float]] = {
        f"GET {path}": await anyio.to_thread.run_sync(get_times, url, path, size.small_runs)
        for path in ("/api/v1/backends/", "/health", "/livez")
    }
    seconds["bus, backends"] = await timed(client.backends, size.small_runs)
    return Work(
        title="requests without computation, idle system", measurements=with_percentiles(seconds)
    )


def with_percentiles(seconds: Mapping[str, Sequence[float]]) -> tuple[Measurement, ...]:
    """Return a measurement for each name, with the 99th percentile in its note."""
    return tuple(
        Measurement(
            who=name,
            seconds=tuple(each),
            note=f"99 % within {np.percentile(each, 99) * 1000:.1f} ms",
        )
        for name, each in seconds.items()
    )


async def socket_work(url: str, client: Client, size: Size) -> Work:
    """Measure the time from the last chunk that a result needs to the result."""
    socket_s, definition = await socket_latency(url, size)
    bus_s = await bus_latency(client, definition, size)
    found = {"bus": bus_s, "WebSocket, mode stream": socket_s}
    over = [1000 * (np.percentile(socket_s, at) - np.percentile(bus_s, at)) for at in (50, 99)]
    title = (
        f"chunk sent to result received, 2 channels at 1 kHz in chunks of {CHUNK} ms: "
        f"+{over[0]:.1f} ms (median), +{over[1]:.1f} ms (99 %)"
    )
    return Work(title=title, measurements=with_percentiles(found))


async def socket_latency(url: str, size: Size) -> tuple[list[float], dict[str, Any]]:
    """Return the seconds of each result over a WebSocket, and the definition of its stream."""
    sent: list[float] = []
    taken: list[float] = []
    address = url.replace("http://", "ws://") + "/ws/stream/wct"
    async with connect_socket(address, max_size=None) as stream, anyio.create_task_group() as tasks:
        config = {
            "type": "config",
            "mode": "stream",
            "dt": 1 / FS_HZ,
            "fmin_hz": 2.0,
            "fmax_hz": 30.0,
        }
        await stream.send(msgpack.packb(config))
        ack = msgpack.unpackb(await stream.recv())

        async def send() -> None:
            async for chunk in chunks(size.seconds):
                columns = [to_packed(chunk[:, column]) for column in (0, 1)]
                sent.append(time.perf_counter())
                await stream.send(
                    msgpack.packb({"type": "data", "signal1": columns[0], "signal2": columns[1]})
                )
            await stream.send(msgpack.packb({"type": "end"}))

        tasks.start_soon(send)
        async for frame in stream:
            message = msgpack.unpackb(frame)
            if message["type"] == "end":
                break
            if message["type"] == "result":
                note(message["result"]["input"], sent, taken, size)
    return warmed(taken), ack["definition"]


async def bus_latency(client: Client, definition: dict[str, Any], size: Size) -> list[float]:
    """Return the seconds of each result over the bus."""
    sent: list[float] = []
    taken: list[float] = []
    stream = validated(StreamDefinition, {**definition, "name": "bench-bus", "start_seq": None})
    await client.put_stream(stream)
    async with client.results(stream.name) as results, anyio.create_task_group() as tasks:

        async def send() -> None:
            async with client.publisher(stream.name) as publisher:
                async for chunk in chunks(size.seconds):
                    sent.append(time.perf_counter())
                    await publisher.publish(chunk)
                await publisher.finish()

        tasks.start_soon(send)
        last = int(size.seconds * FS_HZ)
        with anyio.move_on_after(size.seconds + 5):
            async for result in results:
                note(result.input.model_dump(), sent, taken, size)
                if (
                    len(sent) * CHUNK >= last
                    and result.t.first_sample + result.t.step * (result.t.n - 1) >= last - CHUNK
                ):
                    break
        tasks.cancel_scope.cancel()
    await client.delete_stream(stream.name)
    return warmed(taken)


def note(span: dict[str, int], sent: list[float], taken: list[float], size: Size) -> None:
    """Record the delay of a result after its last chunk, except for results of the end."""
    now = time.perf_counter()
    chunk = (span["first_sample"] + span["n_samples"] - 1) // CHUNK
    if 0 <= chunk < min(len(sent), count_of(size.seconds) - 1):
        taken.append(now - sent[chunk])


def count_of(seconds: float) -> int:
    """Return the number of chunks."""
    return max(20, int(seconds * FS_HZ / CHUNK))


def warmed(taken: list[float]) -> list[float]:
    """Drop the first fifth of the times, which includes warm-up."""
    return taken[len(taken) // 5 :]


async def chunks(seconds: float) -> AsyncIterator[np.ndarray]:
    """Yield chunks (time, channel) at the pace of the device."""
    random = np.random.default_rng(3)
    begin = anyio.current_time()
    for number in range(count_of(seconds)):
        await anyio.sleep_until(begin + number * CHUNK / FS_HZ)
        yield random.standard_normal((CHUNK, 2)).astype(np.float32)


def to_packed(samples: np.ndarray) -> dict[str, Any]:
    data = np.ascontiguousarray(samples)
    return {"dtype": data.dtype.str, "shape": list(data.shape), "data": data.tobytes()}


@asynccontextmanager
async def running_gateway(nats_url: str, log: Path) -> AsyncIterator[tuple[str, int]]:
    """Run a separate gateway; yield its address and process id."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {**os.environ, "CWT_NATS_URL": nats_url, "CWT_HTTP_PORT": str(port)}
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-m", "cwt_gateway"], env=environment, stderr=output
        )
    try:
        async with httpx.AsyncClient(base_url=url) as http:
            with anyio.fail_after(60):
                while True:
                    try:
                        if (await http.get("/readyz")).is_success:
                            break
                    except httpx.TransportError:
                        await anyio.sleep(0.1)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


async def measure(size: Size, *, page_alone: bool) -> list[Work]:
    """Run all measurements, or only those of the live page, on one system."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        plan = SystemPlan(
            server=None, folder=folder / "nats", host="127.0.0.1", port=-1, workers=WORKERS,
            log_folder=folder / "logs",
        )  # fmt: skip
        log = command_log(quiet=True)
        async with (
            running_system(plan, log, kill=anyio.Event()) as system,
            running_gateway(system.server.url, folder / "gateway.log") as (url, pid),
            httpx.AsyncClient(base_url=url, timeout=120) as http,
        ):
            if page_alone:
                return await page_works(url, system.client, size.seconds / 3)
            return [
                await coherence_work(http, system.client, size),
                await small_work(url, system.client, size),
                await socket_work(url, system.client, size),
                *(await page_works(url, system.client, size.seconds / 3)),
                await load_work(url, pid, size, workers=WORKERS),
            ]


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small run; prints the tables, writes no page"
    )
    parser.add_argument("--output", type=Path, help="file for the page")
    parser.add_argument(
        "--page", action="store_true", help="measure only the live page; writes no file"
    )
    given = parser.parse_args(arguments)
    with threadpool_limits(1):
        size = QUICK if given.quick else FULL
        works = anyio.run(partial(measure, size, page_alone=given.page))
    options = (" --quick" if given.quick else "") + (" --page" if given.page else "")
    command = f"python -m benchmarks.gateway{options}"
    text = page(works, machine(), versions(), command).replace("# Benchmarks\n", f"{TITLE}\n", 1)
    text = text.replace("`python -m benchmarks --quick`", "`python -m benchmarks.gateway --quick`")
    output = given.output or (None if given.quick or given.page else PAGE)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
