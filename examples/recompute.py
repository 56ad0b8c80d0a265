"""A result that was computed live, computed again from the log of its signal.

A result says which samples went into it (`epoch`, `input`), where its values lie (`t`) and, by its
`spec_hash`, which analysis it is of. With the definition of the stream and the samples in the log,
the library gives its values, mask and level again, on any machine. Run it against ``pycwt-mod up``,
where something has been published; without the id of a result, it takes the newest one:

    python examples/recompute.py STREAM [--result ID] [URL]
"""

from __future__ import annotations

import argparse
import sys

import anyio
import numpy as np
from numpy.typing import NDArray

from cwt_schemas import storage, subjects
from cwt_schemas.codec import decode_chunk
from cwt_schemas.errors import ContractError
from cwt_schemas.live import AnalysisResult
from cwt_schemas.stream import AnalysisSpec, StreamDefinition
from pycwt_client import Client, connect
from pycwt_mod import VoiceGrid, compute_block, octave_layouts, wavelet_from_name
from pycwt_mod.streaming import window_level

#: A log that gives nothing for so long has come to its end.
QUIET_S = 2.0
#: Of the row's root mean square: other versions of numpy or scipy round otherwise.
TOLERANCE = 1e-5


async def stored(client: Client, stream: str, result_id: str | None) -> AnalysisResult:
    """Return the result with this id, or the newest one that was computed and is not masked."""
    found: AnalysisResult | None = None
    async with client.results(stream) as results:
        while True:
            with anyio.move_on_after(QUIET_S) as quiet:
                result = await anext(results)
            if quiet.cancelled_caught:
                break
            if result.id == result_id:
                return result
            # "none": dropped because it was too late, see `when_behind`.
            if result.engine.backend != "none" and not np.ma.getmaskarray(result.masked).all():
                found = result
    if result_id is not None:
        sys.exit(f"the log no longer has {result_id}")
    if found is None:
        sys.exit(f"there are no results of {stream}: publish something first")
    return found


def analysis_of(definition: StreamDefinition, result: AnalysisResult) -> AnalysisSpec:
    """Return the analysis that the result is of, which its hash proves."""
    for spec in definition.analyses:
        if result.spec_hash in spec.set_hashes(fs_hz=definition.fs_hz):
            return spec
    sys.exit(f"{definition.name} was defined otherwise when {result.id} was computed")


async def signal_of(
    client: Client, definition: StreamDefinition, result: AnalysisResult
) -> NDArray[np.floating]:
    """Return the samples that went in, (time, channel) of the result's channels; NaN: missing."""
    first, n = result.input.first_sample, result.input.n_samples
    # Single precision unless the device sent double.
    window = np.full((n, len(definition.channels)), np.nan, result.values.real.dtype)
    known = np.zeros(n, bool)
    subject = subjects.signal(definition.name)
    async with client.bus.log.replay(storage.SIGNALS, (subject,)) as log:
        while not known.all():
            with anyio.move_on_after(QUIET_S) as quiet:
                message = (await anext(log)).message
            if quiet.cancelled_caught:
                break
            try:
                chunk = decode_chunk(message.headers, message.data, window.shape[1])
            except ContractError:
                continue  # it was refused then, too
            if chunk.epoch != result.epoch or chunk.first_sample is None:
                continue
            at = chunk.first_sample - first + np.arange(chunk.n_samples)
            new = (at >= 0) & (at < n)
            new[new] = ~known[at[new]]  # what comes twice counts the first time
            window[at[new]] = chunk.samples.reshape(len(at), -1)[new]
            known[at[new]] = True
    if not known.any():
        sys.exit(f"the samples of {result.id} are no longer in the log, or had no first_sample")
    columns = [definition.channel_names.index(name) for name in result.channels]
    return window[:, columns]


def compare(spec: AnalysisSpec, result: AnalysisResult, window: NDArray[np.floating]) -> str:
    """Compute the result again and return how far the two are apart; ends if that is too far."""
    assert result.fs_hz is not None
    wavelet = wavelet_from_name(spec.wavelet, None if spec.param == -1 else spec.param)
    grid = VoiceGrid(
        fs_hz=result.fs_hz,
        fmin_hz=spec.fmin_hz,
        fmax_hz=spec.fmax_hz,
        voices_per_octave=spec.voices_per_octave,
        wavelet=wavelet,
    )
    layouts = octave_layouts(grid, op=spec.op, hop_s=spec.hop_s, convention=spec.convention)
    layout = layouts[result.octave]
    block = compute_block(
        window,
        window_first=result.input.first_sample,
        tile_first=result.t.first_sample,
        grid=grid,
        layout=layout,
        op=spec.op,
        quantity=spec.quantity,
        convention=spec.convention,
    )
    mask = np.ma.getmaskarray(result.masked)
    apart = float(np.abs(block.values - result.values)[~mask].max())
    same = np.array_equal(block.mask != 0, mask)
    said = f"values differ by at most {apart:.2g}, masks are {'equal' if same else 'DIFFERENT'}"
    good = same and apart <= TOLERANCE * np.sqrt(np.mean(np.abs(block.values[~mask]) ** 2))
    if spec.significance is not None and result.signif is not None:
        level, _ = window_level(
            window,
            grid=grid,
            layout=layout,
            convention=spec.convention,
            level=spec.significance.level,
        )
        beyond = np.nanmax(np.abs(level - result.signif))
        said += f", levels differ by at most {beyond:.2g}"
        good = good and beyond <= TOLERANCE
    if not good:
        sys.exit(f"{result.id} is not what comes out now: {said}")
    return said


async def main(stream: str, url: str | None, result_id: str | None) -> None:
    """Compute a result of a stream again."""
    async with connect(url, name="recompute") as client:
        definition = (await client.get_stream(stream)).definition
        result = await stored(client, stream, result_id)
        window = await signal_of(client, definition, result)
    spec = analysis_of(definition, result)
    print(
        f"{result.id}: {' with '.join(result.channels)}, "
        f"{result.freqs_hz[-1]:.3g} to {result.freqs_hz[0]:.3g} Hz, "
        f"{len(window)} samples from {result.input.first_sample}"
    )
    print(compare(spec, result, window))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compute a stored result again.")
    parser.add_argument("stream", help="Name of the stream")
    parser.add_argument("url", nargs="?", help="NATS server (default: as CWT_NATS_* say)")
    parser.add_argument("--result", metavar="ID", help="Id of the result (default: the newest)")
    given = parser.parse_intermixed_args()
    anyio.run(main, given.stream, given.url, given.result)
