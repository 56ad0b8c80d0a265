"""Compute the coherence of two channels of an amplifier live, in one program.

Start the system with ``pycwt-mod up``, start an amplifier on the network or ``lsl_amplifier.py``,
then run:

    pip install '.[lsl]'  # in a clone of the repository
    python examples/lsl_coherence.py [NAME [URL]]
"""

from __future__ import annotations

import sys
from functools import partial

import anyio
import numpy as np

from cwt_schemas.analysis import AnalysisSpec, SignificanceSpec
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client, Scalogram, connect
from pycwt_client.sources import LslSource, Signals, SourceInfo, play

STREAM = "eeg"
BAND_HZ = (8.0, 12.0)
STOP_S = 10.0


def definition_of(info: SourceInfo) -> StreamDefinition:
    """Return a stream with the source's channels and rate, and the coherence of the first two."""
    first, second = info.channel_names[:2]
    coherence = AnalysisSpec(
        name="coherence",
        op="wct",
        pairs=((first, second),),
        fmin_hz=4,
        fmax_hz=40,
        hop_s=0.2,
        quantity="coherence",
        significance=SignificanceSpec(level=0.95),
    )
    return StreamDefinition(
        name=STREAM, fs_hz=info.fs_hz, channels=info.channels, analyses=(coherence,)
    )


async def publish(client: Client, signals: Signals) -> None:
    """Publish the samples of the amplifier."""
    async with client.publisher(STREAM) as publisher:
        await play(signals, publisher)


async def watch(client: Client, pair: tuple[str, ...], fs_hz: float, start_seq: int) -> None:
    """Print the coherence of the band in the newest final second, once per second."""
    scalogram = Scalogram(STREAM, "coherence", pair, keep_samples=round(10 * fs_hz))
    reported_s = 0.0
    async with client.results(STREAM, "coherence", start_seq=start_seq) as results:
        async for result in results:
            scalogram.add(result)
            picture = scalogram.resample(100)
            assert picture.signif is not None
            rows = (picture.freqs_hz >= BAND_HZ[0]) & (picture.freqs_hz <= BAND_HZ[1])
            whole = np.flatnonzero(rows.any() & ~picture.mask[rows].any(axis=0))
            if len(whole) < 10 or picture.times_s[whole[-1]] < reported_s + 1:
                continue
            reported_s = float(picture.times_s[whole[-1]])
            values = picture.values[rows][:, whole[-10:]]
            share = (values > picture.signif[rows][:, None]).mean()
            print(
                f"{reported_s:6.1f} s: coherence {values.mean():.2f} between {BAND_HZ[0]:g} and "
                f"{BAND_HZ[1]:g} Hz, {100 * share:3.0f} % of it above the 95 % threshold"
            )
            if reported_s > STOP_S:
                return


async def main(name: str = "amplifier", url: str | None = None) -> None:
    """Publish and watch concurrently."""
    async with LslSource(name).open() as signals, connect(url, name="lsl_coherence") as client:
        definition = definition_of(signals.info)
        await client.put_stream(definition)
        start = await client.next_seq()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish, client, signals)
            await watch(client, definition.analyses[0].channel_sets[0], definition.fs_hz, start)
            tasks.cancel_scope.cancel()


if __name__ == "__main__":
    arguments = dict(zip(("name", "url"), sys.argv[1:], strict=False))
    anyio.run(partial(main, **arguments))
