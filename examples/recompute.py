"""Recompute a live result from the signal log, and compare the two.

A result records its input samples (`epoch`, `input`), the positions of its values (`t`) and its
analysis (`spec_hash`). From these, the stream's definition and the samples in the log, the library
computes the same values, mask and threshold on any machine.

Start the system with ``pycwt-mod up``, publish something, then run this. Without the id of a
result, it recomputes the newest one:

    python examples/recompute.py STREAM [--result ID] [URL]
"""

from __future__ import annotations

import argparse
import sys

import anyio
import numpy as np
from numpy.typing import NDArray

from cwt_schemas import storage, subjects
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.chunk_codec import decode_chunk
from cwt_schemas.errors import ContractError
from cwt_schemas.live import AnalysisResult
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client, connect
from pycwt_mod import VoiceGrid, compute_block, octave_layouts, wavelet_from_name
from pycwt_mod.streaming import window_level

#: Reading ends when the log returns no message for this long.
QUIET_S = 2.0
#: Largest difference, relative to the row's root mean square: versions of numpy and scipy round
#: differently.
TOLERANCE = 1e-5


async def find_result(client: Client, stream: str, result_id: str | None) -> AnalysisResult:
    """Return the result with this id, or the newest that is computed and not fully masked."""
    newest: AnalysisResult | None = None
    async with client.results(stream) as results:
        while True:
            with anyio.move_on_after(QUIET_S) as quiet:
                result = await anext(results)
            if quiet.cancelled_caught:
                break
            if result.id == result_id:
                return result
            # Backend "none": the window was dropped because it was late, see `when_behind`.
            if result.engine.backend != "none" and not np.ma.getmaskarray(result.masked).all():
                newest = result
    if result_id is not None:
        sys.exit(f"the log does not have {result_id}")
    if newest is None:
        sys.exit(f"{stream} has no results; publish something first")
    return newest


def analysis_of(definition: StreamDefinition, result: AnalysisResult) -> AnalysisSpec:
    """Return the analysis whose hash the result records."""
    for spec in definition.analyses:
        if result.spec_hash in spec.set_hashes(fs_hz=definition.fs_hz):
            return spec
    sys.exit(f"{definition.name} has been redefined since {result.id} was computed")


async def read_input(
    client: Client, definition: StreamDefinition, result: AnalysisResult
) -> NDArray[np.floating]:
    """Return the input samples of a result, (time, channel); a missing sample is NaN."""
    first, n = result.input.first_sample, result.input.n_samples
    # The results are in single precision unless the device sent double precision.
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
                continue  # ingest refused this chunk too
            if chunk.epoch != result.epoch or chunk.first_sample is None:
                continue
            at = chunk.first_sample - first + np.arange(chunk.n_samples)
            new = (at >= 0) & (at < n)
            new[new] = ~known[at[new]]  # of a repeated sample, the first one counts
            window[at[new]] = chunk.samples.reshape(len(at), -1)[new]
            known[at[new]] = True
    if not known.any():
        sys.exit(f"the samples of {result.id} are no longer in the log, or had no first_sample")
    columns = [definition.channel_names.index(name) for name in result.channels]
    return window[:, columns]


def compare(spec: AnalysisSpec, result: AnalysisResult, window: NDArray[np.floating]) -> str:
    """Recompute the result and return the differences as text; exit if they are too large."""
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
    difference = float(np.abs(block.values - result.values)[~mask].max())
    same_mask = np.array_equal(block.mask != 0, mask)
    masks = "equal" if same_mask else "DIFFERENT"
    report = f"values differ by at most {difference:.2g}, masks are {masks}"
    rms = np.sqrt(np.mean(np.abs(block.values[~mask]) ** 2))
    agrees = same_mask and difference <= TOLERANCE * rms
    if spec.significance is not None and result.signif is not None:
        threshold, _ = window_level(
            window,
            grid=grid,
            layout=layout,
            convention=spec.convention,
            level=spec.significance.level,
        )
        threshold_difference = np.nanmax(np.abs(threshold - result.signif))
        report += f", thresholds differ by at most {threshold_difference:.2g}"
        agrees = agrees and threshold_difference <= TOLERANCE
    if not agrees:
        sys.exit(f"{result.id} cannot be reproduced: {report}")
    return report


async def main(stream: str, url: str | None, result_id: str | None) -> None:
    """Recompute a result of a stream."""
    async with connect(url, name="recompute") as client:
        definition = (await client.get_stream(stream)).definition
        result = await find_result(client, stream, result_id)
        window = await read_input(client, definition, result)
    spec = analysis_of(definition, result)
    print(
        f"{result.id}: {' with '.join(result.channels)}, "
        f"{result.freqs_hz[-1]:.3g} to {result.freqs_hz[0]:.3g} Hz, "
        f"{len(window)} samples from {result.input.first_sample}"
    )
    print(compare(spec, result, window))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Recompute a stored result.")
    parser.add_argument("stream", help="Name of the stream")
    parser.add_argument("url", nargs="?", help="URL of the NATS server (default: from CWT_NATS_*)")
    parser.add_argument("--result", metavar="ID", help="Id of the result (default: the newest)")
    arguments = parser.parse_intermixed_args()
    anyio.run(main, arguments.stream, arguments.url, arguments.result)
