"""A laboratory in which things go wrong: processes and a server that are killed and come back.

A fault schedule is data: who is killed, when, and for how long it is away. Times are seconds from
the first chunk.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from cwt_runtime.bus import Bus
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.storage.publish import publish_with_retry
from cwt_runtime.telemetry.logs import Action, logger
from cwt_schemas import storage, subjects
from cwt_schemas.chunk_codec import encode_raw_chunk
from cwt_schemas.codec import ContentType, content_type_of, decode
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import AnalysisResult, SignalChunk, StreamEvent
from pycwt_client import Client
from tests.deadlines import SCALE, fail_after
from tests.seed import SEED
from tests.servers import RestartableServer, free_port, restartable_server
from tests.system.conftest import POLL_S, RunningSystem

__all__ = ["SERVER", "Fault", "Laboratory", "Sent", "faults", "laboratory", "rubbish", "sent"]

SERVER = "server"
#: Deadline of the next result of a recording, whichever process was killed.
ARRIVAL_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Somebody is killed with -9, and started again after a while."""

    who: str
    at_s: float
    away_s: float = 0.0


def faults(
    rng: random.Random, who: Sequence[str], *, times: int, within_s: float, away_s: float = 0.5
) -> list[Fault]:
    """Return `times` faults at random moments, each of a random member of `who`."""
    return [
        Fault(who=rng.choice(who), at_s=rng.uniform(0, within_s), away_s=rng.uniform(0, away_s))
        for _ in range(times)
    ]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One message to the signal log."""

    msg_id: str
    headers: dict[str, str]
    body: bytes


def sent(stream: str, chunks: Sequence[SignalChunk]) -> list[Sent]:
    """Return the chunks as a device sends them, each under an id of its own."""
    found = []
    for at, chunk in enumerate(chunks):
        headers, body = encode_raw_chunk(chunk)
        found.append(Sent(msg_id=f"{stream}/{at}", headers=headers, body=body))
    return found


@dataclass
class Laboratory:
    """The running system, and a server that can be killed too."""

    system: RunningSystem
    server: RestartableServer
    services: dict[str, str]
    #: Who was killed, in order, for a test that fails.
    history: list[Fault] = field(default_factory=list)
    _locks: defaultdict[str, anyio.Lock] = field(default_factory=lambda: defaultdict(anyio.Lock))

    @property
    def bus(self) -> Bus:
        return self.system.bus

    @property
    def client(self) -> Client:
        return Client(self.system.bus)

    async def play(
        self,
        stream: str,
        messages: Sequence[Sent],
        schedule: Sequence[Fault] = (),
        *,
        every_s: float = 0.03,
    ) -> None:
        """Publish while the faults of `schedule` happen; return when everybody is back."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._publish, stream, messages, every_s)
            for fault in schedule:
                tasks.start_soon(self._suffer, fault)

    async def _publish(self, stream: str, messages: Sequence[Sent], every_s: float) -> None:
        log = logger("device")
        start = anyio.current_time()
        for at, each in enumerate(messages):
            await anyio.sleep(max(start + at * every_s - anyio.current_time(), 0))
            await publish_with_retry(
                self.bus.log, subjects.signal(stream), each.body, msg_id=each.msg_id,
                headers=each.headers, log=log,
            )  # fmt: skip

    async def _suffer(self, fault: Fault) -> None:
        await anyio.sleep(fault.at_s)
        async with self._locks[fault.who]:  # else it may be about to come back
            self.history.append(fault)
            if fault.who == SERVER:
                self.server.kill()
                await anyio.sleep(fault.away_s)
                await self.server.restart()
            else:
                self.system.kill(fault.who)
                await anyio.sleep(fault.away_s)
                await self.start(fault.who)

    async def start(self, name: str) -> None:
        """Start a service again, and wait until it works."""
        await self.system.start(name, self.services[name], until=Action.READY)

    async def kill_and_start(self, names: Sequence[str]) -> None:
        """Kill services simultaneously, and restart them immediately."""
        for name in names:
            self.system.kill(name)
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(self.start, name)

    async def everybody(self) -> None:
        """Start again whom an earlier test left dead."""
        for name in self.services:
            process = self.system.processes.get(name)
            if process is None or process.poll() is not None:
                await self.start(name)

    async def results(self, stream: str, count: int) -> list[AnalysisResult]:
        """Return all results of `stream`, `count` of them, none of which is in the log twice."""
        found: dict[str, AnalysisResult] = {}
        async with self.client.results(stream) as feed:
            while len(found) < count:
                with anyio.move_on_after(ARRIVAL_S * SCALE) as waiting:
                    result = await anext(feed)
                    found[result.id] = result
                if waiting.cancelled_caught:
                    break
            assert feed.repeated == 0, f"twice in the log; {self}"
        assert len(found) == count, f"{len(found)} of {count} results came; {self}"
        stored = await self._stored(subjects.results_of(stream))
        assert stored == count, f"{stored} results in the log instead of {count}; {self}"
        return list(found.values())

    async def idle(self) -> None:
        """Return when no window waits for a worker or is being computed."""
        with fail_after(60):
            while True:
                backlog = await self.bus.log.backlog(storage.WINDOWS, storage.COMPUTE_WINDOWS)
                if backlog.waiting == backlog.in_flight == 0:
                    return
                await anyio.sleep(POLL_S)

    async def events(self, stream: str) -> list[StreamEvent]:
        """Return the events of `stream` so far, except those of lag (machine-dependent)."""
        subject, found = subjects.event(stream), []
        async with self.bus.log.read(storage.RESULTS, (subject,)) as messages:
            async for stored in messages:
                kind = content_type_of(stored.message.headers)
                event = decode(StreamEvent, stored.message.data, kind)
                found += [event] if event.kind != "lag" else []
        return found

    async def _stored(self, pattern: str) -> int:
        return sum((await self.bus.log.subject_counts(storage.RESULTS, pattern)).values())

    def __str__(self) -> str:
        return f"FAULT_SEED={SEED}, killed so far: {self.history}"


@asynccontextmanager
async def laboratory(folder: Path, *, ingests: int, workers: int) -> AsyncIterator[Laboratory]:
    """Run a server and services; those still running at the end must end cleanly."""
    port = free_port()
    services = {f"ingest-{i}": "ingest" for i in range(ingests)}
    services |= {f"compute-{i}": "compute" for i in range(workers)}
    async with (
        restartable_server(folder / "nats", port) as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        system = RunningSystem(url=server.url, bus=bus, folder=folder)
        lab = Laboratory(system, server, services)
        try:
            async with anyio.create_task_group() as tasks:
                for name in services:
                    tasks.start_soon(lab.start, name)
            yield lab
            codes = await system.stop_all()
            assert set(codes.values()) <= {0}, (codes, str(lab))
        finally:
            for name in list(system.processes):
                system.kill(name)


def rubbish(rng: random.Random) -> Iterator[Sent]:
    """Yield invalid chunks of a stream of two channels, each with another fault."""
    octets = {CONTENT_TYPE: ContentType.OCTETS.value, "Cwt-Epoch": "e"}
    bodies: list[tuple[dict[str, str], bytes]] = [
        ({}, b"not json"),
        ({CONTENT_TYPE: ContentType.MSGPACK.value}, b"\xc1"),
        ({CONTENT_TYPE: "text/html"}, b"<p>"),
        ({**octets, "Cwt-Dtype": "<f4"}, rng.randbytes(7)),
        ({**octets, "Cwt-Dtype": "<f2"}, rng.randbytes(8)),
        ({}, b'{"schema": "signal.chunk/1", "epoch": "e", "samples": [[1, 2, 3]]}'),
        ({}, b'{"schema": "signal.chunk/1", "epoch": "e", "samples": [["a", "b"]]}'),
        ({}, b'{"schema": "signal.chunk/9", "epoch": "e", "samples": [[1, 2]]}'),
        ({CONTENT_TYPE: ContentType.MSGPACK.value}, rng.randbytes(200)),
    ]
    for at, (headers, body) in enumerate(bodies):
        yield Sent(msg_id=f"rubbish/{rng.random()}/{at}", headers=headers, body=body)
