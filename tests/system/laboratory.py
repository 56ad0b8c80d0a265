"""A laboratory in which things go wrong: processes, the server, the network and the disk.

A fault schedule is data: what happens to whom, when, and for how long. Times are seconds from the
first chunk.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import permutations
from pathlib import Path

import anyio
import orjson
from anyio.abc import TaskGroup

from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
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
from tests.servers import RestartableServer, free_port
from tests.system.conftest import POLL_S, RunningSystem
from tests.system.disk import Disk, disk
from tests.system.line import Line, serve_line

__all__ = [
    "DEVICE", "LEADER", "SERVER", "Fault", "FaultKind", "Laboratory", "Received", "Sent", "faults",
    "laboratory", "rubbish", "sent",
]  # fmt: skip

SERVER, DEVICE = "server", "device"
#: Whichever server leads the signal log when the fault begins.
LEADER = "leader"
#: Limits of all streams together may exceed a small disk.
JETSTREAM = 'jetstream {{ store_dir: "{}"\n max_file_store: 100GB\n {} }}'
#: No node tells its own address to another, or to a client: they would connect past the lines.
ROUTES = (
    'server_name: {name}\ncluster {{ name: test, listen: "127.0.0.1:{port}", '
    'advertise: "127.0.0.1:1", no_advertise: true, routes: [{urls}] }}'
)
#: Deadline of the next result of a recording, whichever process was killed.
ARRIVAL_S = 60.0


class FaultKind(StrEnum):
    """What happens: to a process, to its line to the server, or to the server's disk."""

    KILL = "kill"
    PAUSE = "pause"
    RESET = "reset"
    DROP = "drop"
    DELAY = "delay"
    FULL_DISK = "full disk"
    SLOW_DISK = "slow disk"
    READ_ONLY_DISK = "read-only disk"
    POWER_CUT = "power cut"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something happens to a process, its line or its disk, and is over after a while."""

    who: str
    at_s: float
    away_s: float = 0.0
    kind: FaultKind = FaultKind.KILL


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


@dataclass(frozen=True, kw_only=True)
class Received:
    """Results of a stream: those that a client read, without repetitions, and numbers of them."""

    results: list[AnalysisResult]
    #: Results that the client read again.
    repeated: int
    #: Results in the log.
    stored: int


@dataclass
class Laboratory:
    """The running system, and servers that can be killed too: one, or a cluster."""

    system: RunningSystem
    servers: dict[str, RestartableServer]
    services: dict[str, str]
    #: The connection of the device that publishes, where it has a line of its own.
    device: Bus | None = None
    #: Of each service and of the device to the servers, and of a node to and from the other nodes.
    lines: dict[str, list[Line]] = field(default_factory=dict)
    #: Of each server, if the laboratory has them.
    disks: dict[str, Disk] = field(default_factory=dict)
    #: What happened, in order, for a test that fails.
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
        log, bus = logger("device"), self.device or self.bus
        start = anyio.current_time()
        for at, each in enumerate(messages):
            await anyio.sleep(max(start + at * every_s - anyio.current_time(), 0))
            await publish_with_retry(
                bus.log, subjects.signal(stream), each.body, msg_id=each.msg_id,
                headers=each.headers, log=log,
            )  # fmt: skip

    async def _suffer(self, fault: Fault) -> None:
        await anyio.sleep(fault.at_s)
        on_line = fault.kind in (FaultKind.RESET, FaultKind.DROP, FaultKind.DELAY)
        who = await self._leader() if fault.who == LEADER else fault.who
        # Else it may be about to come back.
        async with self._locks[f"line of {who}" if on_line else who]:
            self.history.append(fault)
            if on_line:
                await disturb(self.lines[who], fault)
            elif fault.kind in (FaultKind.KILL, FaultKind.PAUSE):
                await self._halt(who, fault)
            else:
                await self._harm_disk(who, fault)

    async def _leader(self) -> str:
        """Return the server that leads the signal log, or the first one."""
        with suppress(BusError):
            reply = await self.bus.request(
                f"{self.bus.log.api}.STREAM.INFO.{storage.SIGNALS}", b"", timeout_s=1
            )
            leader = orjson.loads(reply.data).get("cluster", {}).get("leader")
            if leader in self.servers:
                return str(leader)
        return next(iter(self.servers))

    async def _halt(self, who: str, fault: Fault) -> None:
        server = self.servers.get(who)
        if fault.kind is FaultKind.KILL:
            server.kill() if server else self.system.kill(who)
            await anyio.sleep(fault.away_s)
            await (server.restart() if server else self.start(who))
        else:
            server.pause() if server else self.system.pause(who)
            await anyio.sleep(fault.away_s)
            server.resume() if server else self.system.resume(who)

    async def _harm_disk(self, who: str, fault: Fault) -> None:
        server, mounted = self.servers[who], self.disks[who]
        if fault.kind is FaultKind.FULL_DISK:
            mounted.fill()
            await anyio.sleep(fault.away_s)
            mounted.make_room()
            if await server.write_error():  # as `pycwt-mod up` does
                await server.restart()
        elif fault.kind is FaultKind.SLOW_DISK:
            mounted.stall()
            await anyio.sleep(fault.away_s)
            mounted.resume()
        else:
            if fault.kind is FaultKind.POWER_CUT:
                server.kill()
                mounted.cut_power()
            else:
                mounted.fail()
            await anyio.sleep(fault.away_s)
            await server.stop()
            await mounted.repair()
            await server.start()

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
        received = await self.received(stream, count)
        came, stored = len(received.results), received.stored
        assert received.repeated == 0, f"twice in the log; {self}"
        assert came == count, f"{came} of {count} results came; {self}"
        assert stored == count, f"{stored} results in the log instead of {count}; {self}"
        return received.results

    async def received(self, stream: str, count: int) -> Received:
        """Read results of `stream` until `count` have come, or none comes for a long time."""
        found: dict[str, AnalysisResult] = {}
        async with self.client.results(stream) as feed:
            while len(found) < count:
                with anyio.move_on_after(ARRIVAL_S * SCALE) as waiting:
                    result = await anext(feed)
                    found[result.id] = result
                if waiting.cancelled_caught:
                    break
        stored = await self._stored(subjects.results_of(stream))
        return Received(results=list(found.values()), repeated=feed.repeated, stored=stored)

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
        return f"FAULT_SEED={SEED}, faults so far: {self.history}"


async def disturb(lines: Sequence[Line], fault: Fault) -> None:
    """Reset the lines, or lose or delay what they carry for a while."""
    for line in lines:
        if fault.kind is FaultKind.DELAY:
            line.latency_s = fault.away_s / 10
        elif fault.kind is FaultKind.DROP:
            line.drop()
    await anyio.sleep(fault.away_s)
    for line in lines:
        line.latency_s = 0.0
        if fault.kind is not FaultKind.DELAY:
            line.reset()


@asynccontextmanager
async def laboratory(
    folder: Path,
    *,
    ingests: int,
    workers: int,
    nodes: int = 1,
    network: bool = False,
    on_disk: bool = False,
    settings: str = "",
    **environment: str,
) -> AsyncIterator[Laboratory]:
    """Run a server and services; those still running at the end must end cleanly.

    Parameters
    ----------
    folder
        Folder of logs, and of the servers' data.
    ingests, workers, nodes
        Numbers of processes; more than one node are a cluster.
    network
        Connect each service and the device over lines of their own. Nodes always are.
    on_disk
        Store each server's data on a disk of its own (`why_no_disk`).
    settings
        Of JetStream, in the server's syntax.
    environment
        Settings of the services.
    """
    services = {f"ingest-{i}": "ingest" for i in range(ingests)}
    services |= {f"compute-{i}": "compute" for i in range(workers)}
    names = [f"n{i}" for i in range(nodes)] if nodes > 1 else [SERVER]
    ports = {name: free_port() for name in names}
    folders = {name: folder / f"nats-{name}" for name in names}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        relays = await enter(anyio.create_task_group())
        stack.callback(relays.cancel_scope.cancel)
        lines: dict[str, list[Line]] = {}
        if network:
            for end in (*services, DEVICE):
                lines[end] = [await relays.start(serve_line, port) for port in ports.values()]
        routes = await open_routes(relays, names) if nodes > 1 else {}
        disks = {
            name: await enter(disk(each / "jetstream")) for name, each in folders.items() if on_disk
        }
        servers = {
            name: RestartableServer(
                each, ports[name], server_settings(each, settings, routes.get(name))
            )
            for name, each in folders.items()
        }
        for server in servers.values():
            await server.start()
            stack.push_async_callback(server.close)
        urls = {name: urls_of(line.port for line in own) for name, own in lines.items()}
        lines |= {name: route.lines for name, route in routes.items()}
        url = urls_of(ports.values())
        bus, device = [
            await enter(connect_bus(each, name="test", log=logger("test")))
            for each in (url, urls.get(DEVICE, url))
        ]
        own = {name: {"CWT_NATS_URL": each} for name, each in urls.items()}
        system = RunningSystem(url=url, bus=bus, folder=folder, environment=environment, own=own)
        lab = Laboratory(system, servers, services, device, lines, disks)
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


def urls_of(ports: Iterable[int]) -> str:
    return ",".join(f"nats://127.0.0.1:{port}" for port in ports)


@dataclass(frozen=True)
class Routes:
    """How a node of a cluster finds the others, and the lines to and from them."""

    settings: str
    lines: list[Line]


async def open_routes(relays: TaskGroup, names: Sequence[str]) -> dict[str, Routes]:
    """Run a line from each node to each other node."""
    ports = {name: free_port() for name in names}
    between: dict[tuple[str, str], Line] = {
        (one, other): await relays.start(serve_line, ports[other])
        for one, other in permutations(names, 2)
    }
    return {
        name: Routes(
            ROUTES.format(
                name=name,
                port=ports[name],
                urls=urls_of(line.port for (one, _), line in between.items() if one == name),
            ),
            [line for ends, line in between.items() if name in ends],
        )
        for name in names
    }


def server_settings(folder: Path, jetstream: str, routes: Routes | None) -> str:
    """Return what is added to the server's usual settings; that of JetStream replaces them."""
    store = JETSTREAM.format(folder / "jetstream", jetstream)
    return f"{store}\n{routes.settings}" if routes else store


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
