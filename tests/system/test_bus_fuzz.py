"""Damaged messages to everything that listens: no service ends, grows, or meets a fault of its own.

Each message is made of its number: ``FUZZ_MESSAGES=1000000`` (``make fuzz-bus``) sends so many, and
``FUZZ_FIRST`` begins at another number. How long another client waits for an answer meanwhile is
printed (``pytest -s``).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import msgpack  # type: ignore[import-untyped]
import numpy as np
import orjson
import pytest

from cwt_ingest.ownership import checkpoint_key
from cwt_runtime.bus import Bus
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.telemetry.logs import Action, logger
from cwt_schemas import headers as header
from cwt_schemas import storage, subjects
from cwt_schemas.checkpoint import StreamCheckpoint
from cwt_schemas.chunk_codec import encode_raw_chunk
from cwt_schemas.codec import ContentType, decode
from cwt_schemas.live import SignalChunk
from pycwt_client import Client
from pycwt_client.chunk_messages import message_id, new_nonce
from tests.damage import DAMAGES
from tests.deadlines import fail_after
from tests.system.conftest import RunningSystem, running_system
from tests.system.scenario import CHUNK, STREAM, definition

pytestmark = [pytest.mark.anyio, pytest.mark.system, pytest.mark.slow]

MESSAGES = int(os.environ.get("FUZZ_MESSAGES", "10000"))
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
#: Sent before the services are asked whether they have read them all.
BURST = 50
ANSWERED = (subjects.stream("list"), subjects.query("backends"), subjects.HW_LIST)
#: One message in so many is a small bomb, and one in so many a large one.
BOMB, LARGE_BOMB = 100, 2500
SMALL_BYTES, LARGE_BYTES = 100_000, 4_000_000
#: What a service may take on top of what it took before: the largest message many times over.
MAX_GROWTH_BYTES = 768 * 1024 * 1024
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
#: What a service understands, by subject.
VALID: Mapping[str, dict[str, Any]] = {
    "cwt.query.cwt": {"data": SAMPLES, **GRID},
    "cwt.query.xwt": {"signal1": SAMPLES, "signal2": SAMPLES[::-1], **GRID},
    "cwt.query.wct": {"signal1": SAMPLES, "signal2": SAMPLES[::-1], **GRID, "mc_count": 0},
    "cwt.query.significance": {"al1": 0.1, "al2": 0.5, **GRID, "s0": 2, "mc_count": 1},
    "cwt.query.schema": {"name": "query.cwt/1"},
    "cwt.query.backend": {"name": "sequential"},
    "cwt.query.backends": {},
    "cwt.query.health": {},
    "cwt.query.simulate": {"tasks": [{}]},
    "cwt.stream.put": {**definition().model_dump(mode="json", by_alias=True), "name": "fuzz"},
    "cwt.stream.get": {"name": "fuzz"},
    "cwt.stream.list": {},
    "cwt.job.submit": {"tasks": [{"type": "cwt", "data": SAMPLES, **GRID}]},
    "cwt.job.get": {"job_id": "none"},
    "cwt.job.list": {"limit": 1},
    "cwt.job.cancel": {"job_id": "none"},
    "cwt.hw.list": {},
    subjects.signal(STREAM): {**CHUNK_FIELDS, "samples": [[1.0, 2.0], [3.0, None]]},
    subjects.signal("fuzz"): {**CHUNK_FIELDS, "samples": PACKED},
    subjects.window(STREAM, "a"): {**CHUNK_FIELDS, "samples": PACKED},
    subjects.task("none"): {"job_id": "none", "attempt": 1, "work": {}},
    "$SRV.PING": {},
}
SUBJECTS = tuple(VALID)
#: Elements that cost more in memory than in a message.
ELEMENTS = {
    JSON: (b"[],", b"{},", b'"",', b"0,", b'{"a":[]},'),
    MSGPACK: (b"\x90", b"\x80", b"\xa0", b"\xd0\x80", b"\xdd\0\x0f\xff\xff", b"\x91"),
}
#: Of one message in ten, and of one request in five.
TYPES = ("", "text/plain", MSGPACK.value, OCTETS.value)
REPLIES = (None, "_INBOX.fuzz.1", "_INBOX.fuzz.2", subjects.signal("fuzz"), "$KV.cwt_streams.s")
#: Kept without a reply subject.
LOGGED = ("cwt.signal.", "cwt.window.", "cwt.task.")


@dataclass(frozen=True)
class Fuzzed:
    """A message to send."""

    subject: str
    body: bytes
    headers: dict[str, str]
    reply: str | None


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
    return Fuzzed(subject, body, headers, reply)


async def send_all(bus: Bus) -> None:
    for number in range(FIRST, FIRST + MESSAGES):
        each = fuzzed(number)
        await bus.publish(each.subject, each.body, each.headers, reply=each.reply)
        if number % BURST == 0:
            for subject in ANSWERED:
                await bus.request(subject, b"", timeout_s=60)


async def ask_meanwhile(bus: Bus, waits_s: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await bus.request(subjects.query("health"), b"", timeout_s=60)
        waits_s.append(time.perf_counter() - before)
        await anyio.sleep(0.02)


def memory_bytes(system: RunningSystem) -> dict[str, int]:
    pages = {
        name: int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        for name, process in system.processes.items()
    }
    return {name: count * os.sysconf("SC_PAGE_SIZE") for name, count in pages.items()}


def faults(system: RunningSystem) -> list[Mapping[str, object]]:
    records = [record for name in system.processes for record in system.log(name)]
    return [record for record in records if record.get("action") in FAULTS]


async def test_damaged_messages_end_nothing_and_nobody_waits_long(tmp_path: Path) -> None:
    waits_s: list[float] = []
    async with (
        running_system(tmp_path, workers=1) as system,
        connect_bus(system.url, name="other", log=logger("test")) as other,
    ):
        await Client(other).put_stream(definition())
        before = memory_bytes(system)
        started = time.perf_counter()
        with fail_after(120 + MESSAGES / 50):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask_meanwhile, other, waits_s)
                await send_all(system.bus)
                seconds = time.perf_counter() - started
                tasks.cancel_scope.cancel()
            await a_good_chunk(system.bus)
        growth = {name: size - before[name] for name, size in memory_bytes(system).items()}
        assert {process.poll() for process in system.processes.values()} == {None}
        assert faults(system) == []
        assert max(growth.values()) < MAX_GROWTH_BYTES, growth
    p50, p99 = np.percentile(waits_s, [50, 99]) * 1e3
    print(  # noqa: T201 - the figures are what the run is for
        f"\n{MESSAGES} messages in {seconds:.1f} s; health of {len(waits_s)} requests: "
        f"p50 {p50:.0f} ms, p99 {p99:.0f} ms; growth "
        + ", ".join(f"{name} {size >> 20} MiB" for name, size in growth.items())
    )


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
