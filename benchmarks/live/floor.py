"""The floor: the same messages over the same hops with only nats-py, and without computation.

Every message begins with a description of the messages that it causes: a JSON list of sizes, each
with the list of the messages that it causes in turn, then zeros up to its own size. Therefore the
same relay stands for ingest and for a worker.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig

__all__ = ["Tree", "play_floor"]

#: Size of a message, and the trees of the messages that it causes.
Tree = tuple[int, tuple["Tree", ...]]

HOPS = ("FLOOR_A", "FLOOR_B", "FLOOR_C")
IN_FLIGHT = 64


def body(tree: Tree, sent_ns: int) -> bytes:
    """Return a message of the tree's size."""
    size, children = tree
    return json.dumps([sent_ns, children]).encode().ljust(size, b"\0")


def read(data: bytes) -> tuple[int, list[Tree]]:
    """Return the send time of the root message, ns, and the messages that this one causes."""
    sent_ns, children = json.loads(data.rstrip(b"\0"))
    return sent_ns, children


async def relay(url: str, stream: str, target: str) -> None:
    """Read messages one by one, publish the messages that each causes, and acknowledge it."""
    client = await nats.connect(url)
    js = client.jetstream()
    pull = await js.pull_subscribe_bind("floor", stream)
    print("ready", flush=True)
    while True:
        try:
            (message,) = await pull.fetch(1, timeout=5)
        except nats.errors.TimeoutError:
            continue
        sent_ns, children = read(message.data)
        await asyncio.gather(*(js.publish(target, body(each, sent_ns)) for each in children))
        await message.ack()


async def play_floor(
    url: str, trees: Sequence[Tree], *, workers: int, every_s: float
) -> tuple[float, list[float]]:
    """Send the trees; return the seconds until the last leaf, and ms from root to each leaf."""
    leaves = sum(len(children) for _, windows in trees for _, children in windows)
    arrived: list[float] = []
    done = asyncio.Event()

    async def take(message: Msg) -> None:
        arrived.append((time.time_ns() - read(message.data)[0]) / 1e6)
        if len(arrived) == leaves:
            done.set()

    async with _streams(url) as client:
        await client.subscribe(
            HOPS[2], cb=take, pending_bytes_limit=2**30, pending_msgs_limit=2**20
        )
        with ExitStack() as stack:
            stack.enter_context(_relay(url, HOPS[0], HOPS[1]))
            for _ in range(workers):
                stack.enter_context(_relay(url, HOPS[1], HOPS[2]))
            js = client.jetstream(publish_async_max_pending=IN_FLIGHT)
            started = time.perf_counter()
            for i, tree in enumerate(trees):
                if every_s:
                    await asyncio.sleep(max(started + i * every_s - time.perf_counter(), 0))
                await js.publish_async(HOPS[0], body(tree, time.time_ns()), wait_stall=60)
            await asyncio.wait_for(done.wait(), 600)
            return time.perf_counter() - started, arrived


@asynccontextmanager
async def _streams(url: str) -> AsyncIterator[Client]:
    client = await nats.connect(url)
    js = client.jetstream()
    for at, name in enumerate(HOPS):
        queue = RetentionPolicy.WORK_QUEUE if at == 1 else RetentionPolicy.LIMITS
        await js.add_stream(
            StreamConfig(name=name, subjects=[name], storage=StorageType.FILE, retention=queue)
        )
    for name in HOPS[:2]:
        await js.add_consumer(
            name, ConsumerConfig(durable_name="floor", ack_policy=AckPolicy.EXPLICIT)
        )
    try:
        yield client
    finally:
        for name in HOPS:
            await js.delete_stream(name)
        await client.close()


@contextmanager
def _relay(url: str, stream: str, target: str) -> Iterator[None]:
    command = [sys.executable, "-m", __name__, url, stream, target]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(relay(*sys.argv[1:]))
