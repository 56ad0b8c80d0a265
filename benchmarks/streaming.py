"""Streaming transforms: ``python -m benchmarks.streaming`` writes the page.

The same channels, rows and chunks go through this library and through the CWT of ezmsg-sigproc. The
results are compared with the offline transform of the whole record.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import pycwt_mod as ours
from benchmarks import peers
from benchmarks.clock import rounds
from benchmarks.machine import machine
from benchmarks.transforms import PYWT_MORLET

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks-streaming.md"
FS_HZ, FMAX_HZ, VOICES, OCTAVES = 500.0, 100.0, 12, 4
CHANNELS, SECONDS, CHUNK = 16, 20.0, 25
REPEATS = 3
#: Import name of the peer.
PEER = "ezmsg.sigproc.wavelets"
#: Time at both ends of the record that is not compared: the reach of the lowest row, and more.
EDGE_S = 2.0
#: Factor from PyWavelets' cmor with bandwidth 2, (2π)^-1/2 exp(-t²/2 + 6it), to Morlet 6.
FROM_CMOR = np.pi**-0.25 * np.sqrt(2 * np.pi)

Values = NDArray[np.complexfloating[Any, Any]]

INTRODUCTION = """\
# Streaming transforms

{channels} channels of AR(1) noise, 0.9, {fs:g} Hz, {seconds:g} s in chunks of {chunk} samples,
through {rows} rows of Morlet 6 from {low:.3g} to {high:g} Hz; float64, 1 thread.
`python -m benchmarks.streaming` measured all in turns in one run, and wrote this page.

- **StreamingCwt** returns blocks of final values, each octave at the rate that it needs. The same
  with `provisional` also returns an estimate of every row at the newest sample, after each chunk.
- **ezmsg-sigproc** returns a value of each row for each sample. Its filters are causal: the value
  that it returns for a sample is that of an earlier instant. Its minimum-phase filters, which have
  less delay, refuse complex wavelets.

"speed" is the length of the record divided by the median time. "delay" is the time from the instant
that a value is about to the newest sample, in periods of the row: median and range of the rows.
"error" is the RMS of the difference from the offline transform, relative to the RMS of the row:
median and largest of the rows. It is that of the value returned for the newest sample, and that
with the delay accounted for. For the peer, the latter needs the delay and the constant complex
factor of each row with the smallest error, which a user would have to find.
"""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One implementation; errors and delays have one number for each row."""

    who: str
    seconds: tuple[float, ...]
    delays: NDArray[np.float64]
    newest: NDArray[np.float64] | None
    accounted: NDArray[np.float64]


def signals(seconds: float, channels: int) -> NDArray[np.float64]:
    """Return the record, shape (n, channels)."""
    n = round(seconds * FS_HZ)
    return np.array([ours.rednoise(n, 0.9, rng=seed) for seed in range(channels)]).T


def stream(channels: int, provisional: ours.Provisional | None = None) -> ours.StreamingCwt:
    """Return a new stream of this library."""
    lowest = FMAX_HZ / 2 ** (OCTAVES - 1 / VOICES)
    return ours.StreamingCwt(
        fs_hz=FS_HZ, fmin_hz=lowest, fmax_hz=FMAX_HZ, hop_s=0.1, voices_per_octave=VOICES,
        channels=channels, provisional=provisional,
    )  # fmt: skip


def chunks(x: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the record in chunks."""
    return np.split(x, range(CHUNK, len(x), CHUNK))


def push_all(x: NDArray[np.float64], provisional: ours.Provisional | None) -> None:
    """Push all chunks through a new stream."""
    live = stream(x.shape[1], provisional)
    for chunk in chunks(x):
        live.push(chunk)


def final_line(x: NDArray[np.float64], exact: Values, seconds: tuple[float, ...]) -> Line:
    """Compare the blocks with the offline transform; shape of `exact`: (channels, rows, n)."""
    live = stream(x.shape[1])
    rows = live.grid.n_voices
    squares, counts, delays = np.zeros(rows), np.zeros(rows), [[0.0] for _ in range(rows)]
    for chunk in chunks(x):
        for block in live.push(chunk):
            at = block.first_sample + block.step * np.arange(block.values.shape[1])
            inside = (at >= EDGE_S * FS_HZ) & (at < len(x) - EDGE_S * FS_HZ)
            first = block.octave * VOICES
            part = slice(first, first + len(block.values))
            true = exact[block.channels[0], part][:, at[inside]]
            squares[part] += (np.abs(block.values[:, inside] - true) ** 2).sum(axis=1)
            counts[part] += inside.sum()
            wait = float((live.n_samples - 1 - at).mean()) / FS_HZ
            for row in range(part.start, part.stop):
                delays[row].append(wait * live.grid.freqs_hz[row])
    error = np.sqrt(squares / counts) / _rms(exact)
    return Line(
        who=f"StreamingCwt, pycwt_mod {ours.__version__}", seconds=seconds, newest=None,
        delays=np.array([statistics.fmean(each[1:]) for each in delays]), accounted=error,
    )  # fmt: skip


def provisional_line(x: NDArray[np.float64], exact: Values, seconds: tuple[float, ...]) -> Line:
    """Compare the estimates at the newest sample with the offline transform."""
    live = stream(x.shape[1], ours.Provisional(delay_s=0))
    errors = []
    for chunk in chunks(x):
        estimates = live.push(chunk).estimates
        newest = live.n_samples - 1
        if EDGE_S * FS_HZ <= newest < len(x) - EDGE_S * FS_HZ:
            values = np.array([each.values for each in estimates])
            errors.append(np.abs(values - exact[:, :, newest]) ** 2)
    error = np.sqrt(np.nanmean(errors, axis=(0, 1))) / _rms(exact)
    return Line(
        who="the same with provisional", seconds=seconds, newest=error, accounted=error,
        delays=np.zeros(len(error)),
    )  # fmt: skip


def peer_outputs(x: NDArray[np.float64], scales: NDArray[np.float64]) -> Values:
    """Return the output of ezmsg-sigproc, shape (channels, rows, n), as Morlet 6."""
    import pywt
    from ezmsg.sigproc.wavelets import CWTSettings, CWTTransformer
    from ezmsg.util.messages.axisarray import AxisArray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformer = CWTTransformer(
            CWTSettings(
                frequencies=None, scales=scales, wavelet=pywt.ContinuousWavelet(PYWT_MORLET),
            )
        )  # fmt: skip
        parts = []
        for k, chunk in enumerate(chunks(x)):
            axis = AxisArray.TimeAxis(fs=FS_HZ, offset=k * CHUNK / FS_HZ)
            message = AxisArray(data=chunk, dims=["time", "ch"], axes={"time": axis}, key="x")
            parts.append(transformer(message).data)
    # It orders the scales descending.
    return np.asarray(FROM_CMOR * np.concatenate(parts, axis=-1)[:, ::-1])


def peer_line(
    x: NDArray[np.float64], scales: NDArray[np.float64], exact: Values, seconds: tuple[float, ...]
) -> Line:
    """Compare the output of ezmsg-sigproc with the offline transform."""
    output = peer_outputs(x, scales)
    edge = round(EDGE_S * FS_HZ)
    newest, accounted, delays = [], [], []
    for row, scale in enumerate(scales):
        out, true = output[:, row, edge:-edge], exact[:, row]
        size = np.sqrt(np.mean(np.abs(true[:, edge:-edge]) ** 2))
        best = (np.inf, 0)
        for lag in range(int(9 * scale) + 2):
            shifted = true[:, edge - lag : true.shape[1] - edge - lag]
            factor = np.vdot(out, shifted) / np.vdot(out, out)
            best = min(best, (float(_rms_of(factor * out - shifted)), lag))
        newest.append(_rms_of(out - true[:, edge:-edge]) / size)
        accounted.append(best[0] / size)
        delays.append(best[1] / FS_HZ)
    freqs = FS_HZ / (ours.Morlet().fourier_factor * scales)
    return Line(
        who=peers.who(PEER), seconds=seconds, newest=np.array(newest),
        accounted=np.array(accounted), delays=np.array(delays) * freqs,
    )  # fmt: skip


def lines(seconds: float, repeats: int, channels: int) -> list[Line]:
    """Measure all implementations in turns, and compare their results."""
    x = signals(seconds, channels)
    grid = stream(channels).grid
    exact = np.asarray(ours.cwt(x.T, 1 / FS_HZ, freqs=grid.freqs_hz, axis=-1).coefs)
    scales = grid.scales_s * FS_HZ

    own = ours.Provisional(delay_s=0)
    works: list[Callable[[], object]] = [lambda: push_all(x, None), lambda: push_all(x, own)]
    if peers.load(PEER) is not None:
        works.append(lambda: peer_outputs(x, scales))
    times = rounds(works, repeats)
    result = [final_line(x, exact, times[0]), provisional_line(x, exact, times[1])]
    return [*result, *(peer_line(x, scales, exact, each) for each in times[2:])]


def page(seconds: float = SECONDS, repeats: int = REPEATS, channels: int = CHANNELS) -> str:
    """Compute and return the page."""
    grid = stream(channels).grid
    head = INTRODUCTION.format(
        channels=channels, fs=FS_HZ, seconds=seconds, chunk=CHUNK, rows=grid.n_voices,
        low=grid.freqs_hz[-1], high=FMAX_HZ,
    )  # fmt: skip
    heads = ("", "speed", "delay, periods", "error at the newest sample", "delay accounted for")
    rows = [_row(heads), _row(["---"] * len(heads))]
    with threadpool_limits(1):
        measured = lines(seconds, repeats, channels)
    for line in measured:
        speed = seconds / statistics.median(line.seconds)
        rows.append(
            _row(
                [
                    line.who,
                    f"{speed:,.3g} × real time",
                    f"{np.median(line.delays):.1f} ({_range(line.delays)})",
                    _spread(line.newest),
                    _spread(line.accounted),
                ]
            )
        )
    if len(measured) == 2:
        rows.append(_row([peers.who(PEER), "not installed", "", "", ""]))
    facts = [_row(["", ""]), _row(["---", "---"]), *(_row(item) for item in machine().items())]
    return "\n".join([head, *rows, "", "## Machine", "", *facts, ""])


def _range(values: NDArray[np.float64]) -> str:
    return f"{values.min():.1f} to {values.max():.1f}"


def _spread(errors: NDArray[np.float64] | None) -> str:
    return "-" if errors is None else f"{np.median(errors):.2g} (up to {errors.max():.2g})"


def _rms(exact: Values) -> NDArray[np.float64]:
    """Return the RMS of each row."""
    return np.asarray(np.sqrt((np.abs(exact) ** 2).mean(axis=(0, 2))))


def _rms_of(values: Values) -> float:
    return float(np.sqrt(np.mean(np.abs(values) ** 2)))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="file for the page")
    parser.parse_args(arguments).output.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
