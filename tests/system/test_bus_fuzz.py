"""Damaged messages to everything that listens: no service ends, grows, or meets a fault of its own.

Each message follows from its number. ``FUZZ_MESSAGES`` is how many are sent, 1,000,000 with ``make
fuzz-bus``; ``FUZZ_FIRST`` is the first number, to continue or to repeat a run. Most go over the
bus, those that have a route also over HTTP, and some into a WebSocket. ``pytest -s`` prints what
they were answered, how long another client waited for the health of each service meanwhile, and
near which message it waited longest.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import msgpack  # type: ignore[import-untyped]
import numpy as np
import orjson
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from cwt_ingest.ownership import checkpoint_key
from cwt_runtime.bus import Bus
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.telemetry.logs import Action, logger
from cwt_schemas import headers as header
from cwt_schemas import storage, subjects
from cwt_schemas.checkpoint import StreamCheckpoint
from cwt_schemas.chunk_codec import encode_raw_chunk
from cwt_schemas.codec import ContentType, decode
from cwt_schemas.endpoints import ENDPOINTS
from cwt_schemas.errors import ErrorCode
from cwt_schemas.live import SignalChunk
from pycwt_client import Client
from pycwt_client.chunk_messages import message_id, new_nonce
from tests.damage import DAMAGES
from tests.deadlines import fail_after
from tests.servers import free_port
from tests.system.conftest import RunningSystem, running_system
from tests.system.gateway import RunningGateway, gateway_of
from tests.system.scenario import CHUNK, STREAM, definition

pytestmark = [pytest.mark.anyio, pytest.mark.system, pytest.mark.slow]

MESSAGES = int(os.environ.get("FUZZ_MESSAGES", "10000"))
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
#: Sent before the services are asked whether they have read them all.
BURST = 50
ANSWERED = (subjects.stream("list"), subjects.query("backends"), subjects.HW_LIST)
#: The NATS server itself answers it.
SERVER = "the server"
SERVER_INFO = "$SYS.REQ.USER.INFO"
#: Requests over HTTP at a time, and those that wait for a turn.
HTTP_CLIENTS, HTTP_WAITING = 4, 16
#: Pause of the other client between two requests, seconds.
ASK_EVERY_S = 0.02
#: Less than the time for which a service reports the longest delay of its event loop, seconds.
LAG_EVERY_S = 10.0
#: One message in BOMB is a small bomb, and one in LARGE_BOMB a large one.
BOMB, LARGE_BOMB = 100, 2500
SMALL_BYTES, LARGE_BYTES = 100_000, 4_000_000
#: By how much the memory of a service may grow: many times the largest message.
MAX_GROWTH_BYTES = 768 * 1024 * 1024
#: How long 99 of 100 requests of another client may wait on a quiet machine, seconds. On a busy
#: machine each change of process adds a wait: at most MAX_CHANGES times that for the server alone.
MAX_P99_S, MAX_CHANGES = 0.1, 5
#: What a service logs when a message met a fault of the service.
FAULTS = {
    Action.FAILED,
    Action.REQUEST_FAILED,
    Action.CHUNK_FAILED,
    Action.WINDOW_RETRIED,
    Action.TASK_RETRIED,
    Action.BUS_CLOSED,
}
JSON, MSGPACK, OCTETS = ContentType.JSON, ContentType.MSGPACK, ContentType.OCTETS

SAMPLES = np.sin(np.arange(20.0)).tolist()
GRID = {"dt": 1.0, "dj": 0.5, "J": 2}
PACKED = {"dtype": "<f4", "shape": [4, 2], "data": np.arange(8, dtype="<f4").tobytes()}
CHUNK_FIELDS: dict[str, Any] = {"schema": "signal.chunk/1", "epoch": "fuzz", "first_sample": 0}
MARKER = {"schema": "signal.marker/1", "stream": STREAM, "t_ns": 1, "text": "x"}
#: What a service understands, by subject.
VALID: Mapping[str, dict[str, Any]] = {
    "cwt.query.cwt": {"data": SAMPLES, **GRID},
    "cwt.query.xwt": {"signal1": SAMPLES, "signal2": SAMPLES[::-1], **GRID},
    "cwt.query.wct": {"signal1": SAMPLES, "signal2": SAMPLES[::-1], **GRID, "mc_count": 0},
    "cwt.query.pwct": {
        "signal1": SAMPLES, "signal2": SAMPLES[::-1], "given": [SAMPLES], **GRID, "mc_count": 0,
    },
    "cwt.query.mwct": {"target": SAMPLES, "given": [SAMPLES[::-1]], **GRID, "mc_count": 0},
    "cwt.query.significance": {"al1": 0.1, "al2": 0.5, **GRID, "s0": 2, "mc_count": 1},
    "cwt.query.schema": {"name": "query.cwt/1"},
    "cwt.query.backend": {"name": "sequential"},
    "cwt.query.backends": {},
    "cwt.query.health": {},
    "cwt.query.hardware": {},
    "cwt.query.benchmark": {"signal_length": 32, "mc_count": 1, "backends": []},
    "cwt.query.simulate": {"tasks": [{}]},
    "cwt.query.fit": {"analysis": {}},
    "cwt.stream.put": {**definition().model_dump(mode="json", by_alias=True), "name": "fuzz"},
    "cwt.stream.get": {"name": "fuzz"},
    "cwt.stream.list": {},
    "cwt.stream.health": {},
    "cwt.stream.delete": {"name": "fuzz"},
    "cwt.stream.purge": {"name": STREAM},  # refused, since it is defined
    "cwt.job.submit": {"tasks": [{"type": "cwt", "data": SAMPLES, **GRID}]},
    "cwt.job.get": {"job_id": "none"},
    "cwt.job.list": {"limit": 1},
    "cwt.job.cancel": {"job_id": "none"},
    "cwt.job.retry": {"job_id": "none"},
    "cwt.hw.list": {},
    "cwt.hw.fpga0.info": {},
    "cwt.hw.fpga0.selftest": {"seed": 1},
    "cwt.hw.fpga0.fft": {"data": SAMPLES},
    "cwt.hw.fpga0.cwt": {"data": SAMPLES, "dt": 1.0},
    "cwt.hw.fpga0.mc": {"al1": 0.1, "al2": 0.5, **GRID, "mc_count": 1},
    "cwt.hw.fpga0.cancel": {"id": "none"},
    subjects.marker(STREAM): MARKER,
    subjects.mark(STREAM): MARKER,
    subjects.signal(STREAM): {**CHUNK_FIELDS, "samples": [[1.0, 2.0], [3.0, None]]},
    subjects.signal("fuzz"): {**CHUNK_FIELDS, "samples": PACKED},
    subjects.window(STREAM, "a"): {**CHUNK_FIELDS, "samples": PACKED},
    subjects.newest(STREAM, "a"): {
        "schema": "samples.newest/1", "stream": STREAM, "epoch": "fuzz", "analysis": {},
        "fs_hz": 100, "end": 4, "samples": PACKED, "states": [b"{}"],
        "times_ns": {"received": 1, "sent": 1},
    },
    subjects.task("none"): {"job_id": "none", "attempt": 1, "work": {}},
    "$SRV.PING": {},
    # Not subjects, but frames.
    "/ws config": {"type": "config", "dt": 1.0, "mc_count": 0},
    "/ws data": {"type": "data", "signal1": SAMPLES, "signal2": SAMPLES[::-1]},
}  # fmt: skip
SUBJECTS = tuple(VALID)
#: The same over HTTP.
ROUTES: Mapping[str, tuple[str, str]] = {
    "cwt.query.cwt": ("POST", "/api/v1/wavelet/cwt"),
    "cwt.query.xwt": ("POST", "/api/v1/wavelet/xwt"),
    "cwt.query.wct": ("POST", "/api/v1/wavelet/wct"),
    "cwt.query.pwct": ("POST", "/api/v1/wavelet/pwct"),
    "cwt.query.mwct": ("POST", "/api/v1/wavelet/mwct"),
    "cwt.query.significance": ("POST", "/api/v1/wavelet/significance"),
    "cwt.query.benchmark": ("POST", "/api/v1/benchmark"),
    "cwt.job.submit": ("POST", "/api/v1/jobs"),
    "cwt.stream.put": ("PUT", "/api/v1/streams/fuzz"),
    subjects.signal(STREAM): ("POST", f"/api/v1/streams/{STREAM}/chunks"),
    subjects.signal("fuzz"): ("POST", "/api/v1/streams/fuzz/chunks"),
    subjects.marker(STREAM): ("POST", f"/api/v1/streams/{STREAM}/markers"),
}
FRAME = "/ws "
#: Part of the messages with a route that are sent there.
OVER_HTTP = 0.3
#: The device of the bridge, which is not connected.
DEVICE = "fpga0=tangnano9k:/dev/none"
#: Elements that cost more in memory than in a message.
ELEMENTS = {
    JSON: (b"[],", b"{},", b'"",', b"0,", b'{"a":[]},'),
    MSGPACK: (b"\x90", b"\x80", b"\xa0", b"\xd0\x80", b"\xdd\0\x0f\xff\xff", b"\x91"),
}
#: Of one message in ten, and of one request in five.
TYPES = ("", "text/plain", MSGPACK.value, OCTETS.value)
REPLIES = (None, "_INBOX.fuzz.1", "_INBOX.fuzz.2", subjects.signal("fuzz"), "$KV.cwt_streams.s")
#: Kept without a reply subject.
LOGGED = ("cwt.signal.", "cwt.window.", "cwt.task.", "cwt.marker.")


@dataclass(frozen=True)
class Fuzzed:
    """A message to send."""

    subject: str
    body: bytes
    headers: dict[str, str]
    reply: str | None
    #: Method and path, where it is sent over HTTP.
    route: tuple[str, str] | None = None

    @property
    def is_frame(self) -> bool:
        """Whether it is sent into a WebSocket."""
        return self.subject.startswith(FRAME)

    @property
    def frame(self) -> str | bytes:
        """The body as text where it may be JSON, otherwise as bytes."""
        if self.headers[header.CONTENT_TYPE] == JSON.value:
            return self.body.decode(errors="replace")
        return self.body


@cache
def valid_body(subject: str, kind: ContentType) -> bytes:
    fields = VALID[subject]
    if kind is MSGPACK:
        return bytes(msgpack.packb(fields))
    return orjson.dumps(fields, default=lambda _: [0, 1])


def bomb(rng: random.Random, kind: ContentType, size: int) -> bytes:
    """Return a body that consists of one element many times, in a field that there may be."""
    field = rng.choice(["name", "data", "samples", "channels", "tasks", "x"])
    element = rng.choice(ELEMENTS[kind])
    count = size // len(element)
    if kind is JSON:
        if rng.random() < 0.3:
            keys = b",".join(b'"k%d":0' % i for i in range(size // 10))
            return b"{" + keys + b"}"
        if rng.random() < 0.2:
            return b'{"%s":' % field.encode() + rng.choice([b"[", b'{"a":']) * (size // 5)
        return b'{"%s":[' % field.encode() + element * count + b"0]}"
    head = bytes(msgpack.packb({field: 0}))[:-1]
    return head + b"\xdd" + count.to_bytes(4, "big") + element * count


def raw(rng: random.Random) -> tuple[dict[str, str], bytes]:
    """Return a chunk of samples alone with one of its headers damaged."""
    chunk = SignalChunk(epoch="fuzz", first_sample=rng.randrange(100), samples=np.ones((4, 2)))
    headers, body = encode_raw_chunk(chunk)
    name = rng.choice(list(headers))
    headers[name] = rng.choice(["", "-1", "9" * 400, "<f2", "x y", "é", "1e9", headers[name]])
    return headers, body


def fuzzed(number: int) -> Fuzzed:
    """Return message `number`."""
    rng = random.Random(number)
    kind = rng.choice([JSON, MSGPACK])
    subject = rng.choice(SUBJECTS)
    headers = {header.CONTENT_TYPE: kind.value}
    if number % LARGE_BOMB == LARGE_BOMB - 1:
        body = bomb(rng, kind, LARGE_BYTES)
    elif number % BOMB == BOMB - 1:
        body = bomb(rng, kind, SMALL_BYTES)
    elif subject.startswith("cwt.signal.") and rng.random() < 0.3:
        headers, body = raw(rng)
    else:
        body = valid_body(subject, kind)
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            body = rng.choice(DAMAGES)(body, rng) if body else body
    if rng.random() < 0.1:
        headers[header.CONTENT_TYPE] = rng.choice(TYPES)
    if rng.random() < 0.1:
        name = rng.choice([header.ACCEPT, header.EARLY, header.EPOCH])
        headers[name] = rng.choice(["*", "_INBOX.a", "x" * 500])
    reply = None if subject.startswith(LOGGED) else rng.choice(REPLIES)
    route = ROUTES.get(subject) if rng.random() < OVER_HTTP else None
    return Fuzzed(subject, body, headers, reply, route)


@dataclass
class Report:
    """What a run has found."""

    #: Number of the first message of the burst that is being sent.
    number: int = FIRST
    #: Replies on the bus and over HTTP, by error code; "ok" is none.
    replies: Counter[str] = field(default_factory=Counter)
    #: Waits of the other client for the health of a service, seconds.
    waits_s: dict[str, list[float]] = field(default_factory=dict)
    #: Longest of them, and the message near which it was.
    longest: dict[str, tuple[float, int]] = field(default_factory=dict)
    #: Longest delay of the event loop of a service, seconds.
    lag_s: dict[str, float] = field(default_factory=dict)

    def waited(self, service: str, wait_s: float) -> None:
        """Add a wait."""
        self.waits_s.setdefault(service, []).append(wait_s)
        self.longest[service] = max(self.longest.get(service, (0.0, 0)), (wait_s, self.number))

    def p99_s(self) -> dict[str, float]:
        """Return the wait that 99 of 100 requests do not exceed, by service."""
        return {service: float(np.percentile(each, 99)) for service, each in self.waits_s.items()}

    def text(
        self, seconds: float, behind_s: float, before: Mapping[str, int], peaks: Mapping[str, int]
    ) -> str:
        """Return the report."""
        told = ", ".join(f"{code} {count}" for code, count in self.replies.most_common())
        lines = [
            f"messages {FIRST} to {FIRST + MESSAGES - 1}: {MESSAGES / seconds:.0f} a second",
            f"the last chunk was read {behind_s:.1f} s after all were sent",
            f"replies: {told}",
        ]
        p99_s = self.p99_s()
        for service, waits_s in self.waits_s.items():
            longest_s, number = self.longest[service]
            lines.append(
                f"{service}, asked {len(waits_s)} times: p50 {np.median(waits_s) * 1e3:.1f} ms, "
                f"p99 {p99_s[service] * 1e3:.1f} ms, longest {longest_s * 1e3:.0f} ms near message "
                f"{number}"
            )
        for service, peak in peaks.items():
            lines.append(
                f"{service}: event loop at most {self.lag_s[service] * 1e3:.0f} ms late; memory "
                f"{before[service] >> 20} MiB, at most {peak >> 20} MiB"
            )
        return "\n".join(lines)


async def send_all(bus: Bus, gateway: RunningGateway, report: Report) -> None:
    requests, to_request = anyio.create_memory_object_stream[Fuzzed](HTTP_WAITING)
    frames, to_send = anyio.create_memory_object_stream[Fuzzed](HTTP_WAITING)
    async with anyio.create_task_group() as tasks, requests, frames:
        for _ in range(HTTP_CLIENTS):
            tasks.start_soon(send_over_http, gateway, to_request.clone(), report)
        to_request.close()
        tasks.start_soon(send_frames, gateway, to_send, report)
        for first in range(FIRST, FIRST + MESSAGES, BURST):
            report.number = first
            numbers = range(first, min(first + BURST, FIRST + MESSAGES))
            # In a thread: making a large one would delay the other client, which is on this loop.
            for each in await anyio.to_thread.run_sync(list, map(fuzzed, numbers)):
                if each.is_frame:
                    await frames.send(each)
                elif each.route is not None:
                    await requests.send(each)
                else:
                    await bus.publish(each.subject, each.body, each.headers, reply=each.reply)
            for subject in ANSWERED:
                await bus.request(subject, b"", timeout_s=60)


async def send_frames(
    gateway: RunningGateway, messages: MemoryObjectReceiveStream[Fuzzed], report: Report
) -> None:
    """Send frames, on a new connection after the gateway has closed one."""
    url = f"ws://{gateway.host}/ws/stream/wct"
    async with messages:
        while True:
            async with (
                connect(url, ping_interval=None, max_size=None) as socket,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(count_frames, socket, report)
                with suppress(ConnectionClosed):
                    async for each in messages:
                        await socket.send(each.frame)
                    tasks.cancel_scope.cancel()
                    return
                report.replies["connection closed"] += 1
                tasks.cancel_scope.cancel()


async def count_frames(socket: ClientConnection, report: Report) -> None:
    async for frame in socket:
        reply = orjson.loads(frame) if isinstance(frame, str) else msgpack.unpackb(frame)
        report.replies[reply["code"] if reply["type"] == "error" else "ok"] += 1


async def send_over_http(
    gateway: RunningGateway, messages: MemoryObjectReceiveStream[Fuzzed], report: Report
) -> None:
    async with messages, gateway.client() as http:
        async for each in messages:
            assert each.route is not None
            method, path = each.route
            headers = {name: text for name, text in each.headers.items() if text.isascii()}
            try:
                reply = await http.request(method, path, content=each.body, headers=headers)
            except httpx.WriteError:
                report.replies["connection closed"] += 1
                continue
            if reply.is_success:
                report.replies["ok"] += 1
            else:
                report.replies[str(reply.json()["code"])] += 1


async def count_replies(bus: Bus, report: Report) -> None:
    codes = {str(code.status): code.value for code in ErrorCode}
    async with bus.subscribe("_INBOX.fuzz.*") as replies:
        async for reply in replies:
            status = reply.headers.get(header.SERVICE_ERROR_CODE)
            report.replies["ok" if status is None else codes[status]] += 1


async def ask_meanwhile(report: Report, service: str, ask: Callable[[], Awaitable[object]]) -> None:
    while True:
        before = time.perf_counter()
        await ask()
        report.waited(service, time.perf_counter() - before)
        await anyio.sleep(ASK_EVERY_S)


async def read_lags(report: Report, ports: Mapping[str, int]) -> None:
    """Keep the longest delay of each event loop."""
    async with httpx.AsyncClient(timeout=60) as http:
        while True:
            for service, port in ports.items():
                text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
                (lag,) = (
                    sample.value
                    for family in text_string_to_metric_families(text)
                    for sample in family.samples
                    if sample.name == "cwt_event_loop_lag_seconds"
                )
                report.lag_s[service] = max(lag, report.lag_s.get(service, 0.0))
            await anyio.sleep(LAG_EVERY_S)


def memory_bytes(system: RunningSystem, line: str) -> dict[str, int]:
    """Return ``VmRSS`` or ``VmHWM``, its maximum, of each service."""
    found = {}
    for name, process in system.processes.items():
        status = Path(f"/proc/{process.pid}/status").read_text()
        found[name] = 1024 * int(status.partition(f"{line}:")[2].split()[0])
    return found


@asynccontextmanager
async def measured_system(folder: Path) -> AsyncIterator[tuple[RunningSystem, dict[str, int]]]:
    """Run a system whose services serve their metrics on the ports that are returned."""
    ports = {name: free_port() for name in ("ingest", "hwbridge", "compute-0", "gateway")}
    own = {name: {"CWT_METRICS_PORT": str(port)} for name, port in ports.items()}
    environment = {"CWT_HW_PORTS": DEVICE}
    async with running_system(folder, workers=1, environment=environment, own=own) as system:
        yield system, ports


def faults(system: RunningSystem) -> list[Mapping[str, object]]:
    records = [record for name in system.processes for record in system.log(name)]
    return [record for record in records if record.get("action") in FAULTS]


def test_every_endpoint_is_among_the_subjects() -> None:
    names = {"{device}": "fpga0", "{stream}": STREAM}
    found = {re.sub("{.*}", lambda match: names[match.group()], each) for each in ENDPOINTS}
    assert found <= set(SUBJECTS)
    assert set(ROUTES) <= set(SUBJECTS)


async def test_damaged_messages_end_nothing_and_nobody_waits_long(tmp_path: Path) -> None:
    report = Report()
    async with (
        measured_system(tmp_path) as (system, ports),
        connect_bus(system.url, name="other", log=logger("test")) as other,
    ):
        gateway = await gateway_of(system)
        await Client(other).put_stream(definition())
        before = memory_bytes(system, "VmRSS")
        started = time.perf_counter()
        with fail_after(120 + MESSAGES / 50):
            async with anyio.create_task_group() as tasks, gateway.client() as http:
                asked: dict[str, Callable[[], Awaitable[object]]] = {
                    # For comparison: how long the machine takes without any service.
                    SERVER: partial(other.request, SERVER_INFO, b"", timeout_s=60),
                    "ingest": partial(other.request, subjects.stream("health"), b"", timeout_s=60),
                    "compute": partial(other.request, subjects.query("health"), b"", timeout_s=60),
                    "gateway": partial(http.get, "/health"),
                }
                for service, ask in asked.items():
                    await ask()
                    tasks.start_soon(ask_meanwhile, report, service, ask)
                tasks.start_soon(count_replies, other, report)
                tasks.start_soon(read_lags, report, ports)
                await send_all(system.bus, gateway, report)
                seconds = time.perf_counter() - started
                tasks.cancel_scope.cancel()
            await a_good_chunk(system.bus)
            behind_s = time.perf_counter() - started - seconds
        peaks = memory_bytes(system, "VmHWM")
        print(f"\n{report.text(seconds, behind_s, before, peaks)}")  # noqa: T201 - what the run is for
        assert {process.poll() for process in system.processes.values()} == {None}
        assert faults(system) == []
        p99_s = report.p99_s()
        assert max(p99_s.values()) < MAX_P99_S + MAX_CHANGES * p99_s[SERVER], p99_s
        growth = {name: peak - before[name] for name, peak in peaks.items()}
        assert max(growth.values()) < MAX_GROWTH_BYTES, growth


async def a_good_chunk(bus: Bus) -> None:
    """Return when a chunk that comes after all of them was taken."""
    chunk = SignalChunk(epoch="good", first_sample=0, samples=np.zeros((CHUNK, 2)))
    headers, body = encode_raw_chunk(chunk)
    ack = await bus.log.store(
        subjects.signal(STREAM),
        body,
        msg_id=message_id(STREAM, chunk, new_nonce()),
        headers=headers,
    )
    bucket = await bus.log.bucket(storage.KV_CHECKPOINTS)
    async with bucket.watch(checkpoint_key(STREAM)) as changes:
        async for change in changes:
            if change.value and decode(StreamCheckpoint, change.value).last_seq >= ack.seq:
                return
