"""Define a stream, publish to it, and read its results, in one program.

Start the system with ``pycwt-mod up``, then run:

    python examples/define_and_watch.py [URL]
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import anyio
import numpy as np

from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_client import Client, connect

FS_HZ = 100.0
REPORTS = 20
DEFINITION = StreamDefinition(
    name="pair",
    fs_hz=FS_HZ,
    channels=(Channel(name="left"), Channel(name="right")),
    analyses=(
        AnalysisSpec(
            name="together",
            op="wct",
            pairs=(("left", "right"),),
            fmin_hz=2,
            fmax_hz=16,
            hop_s=1,
            quantity="coherence",
        ),
    ),
)


async def publish(client: Client, epoch: str) -> None:
    """Publish thirty seconds of two noisy 8 Hz sines; the left one leads by 45 degrees."""
    rng = np.random.default_rng(1)
    t = np.arange(0, 30, 1 / FS_HZ)
    phases = 2 * np.pi * 8 * t[:, None] + np.array([np.pi / 4, 0.0])
    samples = (np.sin(phases) + 0.5 * rng.standard_normal(phases.shape)).astype(np.float32)
    async with client.publisher("pair", epoch) as publisher:
        for first in range(0, len(t), 50):
            await publisher.publish(samples[first : first + 50])
        await publisher.finish()  # ends the epoch, so that its last results are computed


async def watch(client: Client, epoch: str) -> None:
    """Print the highest coherence in each block of this run."""
    printed = 0
    async with client.results("pair") as results:
        async for result in results:
            if result.epoch != epoch:
                continue  # an earlier run; the log keeps results for a week
            values = np.ma.masked_array(
                result.values, np.ma.nomask if result.mask is None else result.mask
            )
            if values.count() == 0:
                continue  # the start of the epoch affects the whole block
            row, column = np.unravel_index(values.argmax(), values.shape)
            seconds = (result.t.first_sample + column * result.t.step) / FS_HZ
            degrees = np.degrees(result.phase[row, column]) if result.phase is not None else 0
            print(
                f"octave {result.octave}, {seconds:5.2f} s: {values[row, column]:.2f} "
                f"at {result.freqs_hz[row]:5.2f} Hz, left leads by {degrees:4.0f} degrees"
            )
            printed += 1
            if printed == REPORTS:
                return


async def main(url: str | None) -> None:
    """Publish and watch concurrently."""
    epoch = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    async with connect(url, name="define_and_watch") as client:
        await client.put_stream(DEFINITION)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish, client, epoch)
            await watch(client, epoch)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else None)
