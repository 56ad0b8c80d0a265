"""Many concurrent clients of a gateway, and the latency of `health` under their load."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx
import numpy as np

from benchmarks.measurement import Work
from benchmarks.queries import Size, load_lines

#: Number of client processes; in a single one, the clients would wait for each other.
PROCESSES = 4


def get_times(url: str, path: str, runs: int) -> list[float]:
    """Return the seconds of each of consecutive GET requests on one connection."""
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port)
    seconds = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        seconds.append(time.perf_counter() - started)
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"{path}: status {answer.status}")
    connection.close()
    return seconds[1:]


async def load_work(url: str, pid: int, size: Size, *, workers: int) -> Work:
    """Measure many clients with separate connections that send requests without a pause.

    `health` is timed separately, in this process: the clients run in other processes, where they
    wait for each other.
    """
    spawning = multiprocessing.get_context("spawn")
    replies: multiprocessing.Queue[Asked] = spawning.Queue()
    numbers = [range(first, size.clients, PROCESSES) for first in range(PROCESSES)]
    clients = [
        spawning.Process(target=_clients, args=(url, each, size.seconds, replies), daemon=True)
        for each in numbers
    ]
    memory = [resident_bytes(pid)]
    for each in clients:
        each.start()
    health: list[float] = []
    for _ in range(4):
        health += await anyio.to_thread.run_sync(_probe, url, size.seconds / 4)
        memory.append(resident_bytes(pid))
    seconds: dict[str, list[float]] = {"health, from another process": health}
    outcomes: Counter[str] = Counter()
    for _ in clients:
        reply = await anyio.to_thread.run_sync(replies.get)
        outcomes += reply.outcomes
        for name, each_s in reply.seconds.items():
            seconds.setdefault(name, []).extend(each_s)
    for each in clients:
        each.join()
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(outcomes.items()))
    mib = " ".join(f"{each / 2**20:.0f}" for each in memory)
    title = (
        f"{size.clients} clients, mixed requests for {size.seconds:g} s, {workers} workers: "
        f"statuses {statuses}; memory of the gateway at the start and after each quarter {mib} MiB"
    )
    return Work(title=title, measurements=load_lines(seconds))


class Asked(NamedTuple):
    """Return status codes and times of the requests of one process."""

    outcomes: Counter[str]
    seconds: dict[str, list[float]]


def _probe(url: str, for_s: float) -> list[float]:
    end = time.perf_counter() + for_s
    seconds: list[float] = []
    while time.perf_counter() < end:
        seconds += get_times(url, "/health", 10)
        time.sleep(0.1)
    return seconds


def _clients(url: str, numbers: range, for_s: float, replies: multiprocessing.Queue[Asked]) -> None:
    outcomes: Counter[str] = Counter()
    seconds: dict[str, list[float]] = {}

    async def ask() -> None:
        async with anyio.create_task_group() as tasks:
            for number in numbers:
                tasks.start_soon(_client, url, number, for_s, outcomes, seconds)

    anyio.run(ask)
    replies.put(Asked(outcomes, seconds))


async def _client(
    url: str, number: int, for_s: float, outcomes: Counter[str], seconds: dict[str, list[float]]
) -> None:
    x, y = np.random.default_rng(number).standard_normal((2, 500)).tolist()
    end = time.perf_counter() + for_s
    # Use new seeds, so that no reply comes from the cache.
    seeds = itertools.count(number * 1_000_000)
    # Disable TLS, because its set-up in httpx blocks the loop of all clients for seconds.
    async with httpx.AsyncClient(base_url=url, timeout=120, verify=False) as http:

        def post(path: str, **fields: object) -> Awaitable[httpx.Response]:
            return http.post(f"/api/v1/wavelet/{path}", json={"dt": 1.0, "dj": 0.25, **fields})

        asks: dict[str, Callable[[], Awaitable[httpx.Response]]] = {
            "cwt of 500 samples": lambda: post("cwt", data=x),
            "wct of 500 samples, 20 pairs": lambda: post(
                "wct", signal1=x, signal2=y, mc_count=20, seed=next(seeds)
            ),
            "health": lambda: http.get("/health"),
            "backends": lambda: http.get("/api/v1/backends/"),
        }
        for name in itertools.islice(itertools.cycle(asks), number % len(asks), None):
            started = time.perf_counter()
            if started >= end:
                return
            answer = await asks[name]()
            outcomes[str(answer.status_code)] += 1
            if answer.status_code == 429:
                await anyio.sleep(float(answer.headers["Retry-After"]))
            else:
                seconds.setdefault(name, []).append(time.perf_counter() - started)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process, bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
