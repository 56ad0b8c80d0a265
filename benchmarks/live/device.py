"""A device as a separate process that uses only nats-py, so it adds only the cost of the bus.

It publishes chunks to JetStream, on time or as fast as they are acknowledged, and records when it
published each one.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio
import nats
import numpy as np
from nats.js.api import PubAck
from numpy.typing import NDArray

__all__ = ["Device", "RunningDevice", "running_device"]

#: Number of unacknowledged chunks when publishing at full speed.
IN_FLIGHT = 64
#: Number of different chunks of noise, which repeat.
MADE = 32
NANOSECONDS = 1_000_000_000

Message = tuple[dict[str, str], bytes]


@dataclass(frozen=True, kw_only=True)
class Device:
    """The data to publish: `count` chunks of `chunk` samples of `channels` channels."""

    url: str
    stream: str
    channels: int
    chunk: int
    count: int
    #: Interval between chunks, s; 0: as fast as they are acknowledged.
    every_s: float
    epoch: str = "e"
    dtype: str = "<f4"

    @property
    def subject(self) -> str:
        return f"cwt.signal.{self.stream}"

    @property
    def bytes(self) -> int:
        """Size of all samples in bytes."""
        return self.count * self.chunk * self.channels * np.dtype(self.dtype).itemsize

    def messages(self) -> Iterator[Message]:
        """Yield headers and bodies of chunks of white noise in the raw form."""
        rng, shape = np.random.default_rng(1), (self.chunk, self.channels)
        # For integers, the standard deviation is an eighth of the range.
        counts = np.dtype(self.dtype).kind == "i"
        size = np.iinfo(self.dtype).max / 8 if counts else 1.0
        noise = (size * rng.standard_normal(shape) for _ in range(MADE))
        bodies = [each.astype(self.dtype).tobytes() for each in noise]
        for i in range(self.count):
            first = i * self.chunk
            headers = {
                "Content-Type": "application/octet-stream",
                "Cwt-Dtype": self.dtype,
                "Cwt-Channels": str(self.channels),
                "Cwt-Epoch": self.epoch,
                "Cwt-First-Sample": str(first),
                "Nats-Msg-Id": f"{self.stream}/{self.epoch}/{first}",
            }
            yield headers, bodies[i % MADE]


class RunningDevice:
    """A device that is ready to publish."""

    def __init__(self, process: subprocess.Popen[bytes], times: Path) -> None:
        self._process = process
        self._times = times
        self.pid = process.pid

    def go(self) -> None:
        """Start publishing."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()

    @property
    def done(self) -> bool:
        """Whether every chunk is stored."""
        code = self._process.poll()
        assert code in {None, 0}, f"the device ended with {code}"
        return code == 0

    async def finished(self) -> None:
        """Wait until every chunk is stored."""
        while not self.done:  # noqa: ASYNC110 - a process has no event
            await anyio.sleep(0.1)

    def times_ns(self) -> NDArray[np.int64]:
        """Return the publication time of each chunk after the device is done, ns."""
        return np.asarray(np.load(self._times), dtype=np.int64)


@contextmanager
def running_device(device: Device, folder: Path) -> Iterator[RunningDevice]:
    """Start the process and yield it once it is ready."""
    times = folder / f"{device.stream}-times.npy"
    command = [sys.executable, "-m", __name__, json.dumps(asdict(device)), str(times)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield RunningDevice(process, times)
        finally:
            process.kill()


async def publish(device: Device) -> NDArray[np.int64]:
    """Publish everything; return the time of each chunk."""
    client = await nats.connect(device.url)
    js = client.jetstream(timeout=60, publish_async_max_pending=2 * IN_FLIGHT)
    times: list[int] = []
    pending: deque[asyncio.Future[PubAck]] = deque()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    start = time.monotonic()
    for i, (headers, body) in enumerate(device.messages()):
        if device.every_s:
            await asyncio.sleep(max(start + i * device.every_s - time.monotonic(), 0))
        times.append(time.time_ns())
        pending.append(await js.publish_async(device.subject, body, headers=headers))
        while pending and (pending[0].done() or len(pending) >= IN_FLIGHT):
            await pending.popleft()
    await asyncio.gather(*pending)
    await client.close()
    return np.array(times, dtype=np.int64)


def main() -> None:
    """Run the device that the command line describes."""
    device, times = Device(**json.loads(sys.argv[1])), sys.argv[2]
    np.save(times, asyncio.run(publish(device)))


if __name__ == "__main__":
    main()
