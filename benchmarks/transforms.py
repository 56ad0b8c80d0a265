"""Benchmarks of the wavelet transform of a long record."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

import pycwt_mod as ours
from benchmarks import peers
from benchmarks.clock import peak_bytes, rounds
from benchmarks.measurement import Measurement, Work

N, VOICES = 100_000, 12
US = f"pycwt_mod {ours.__version__}"
OCTAVES_NOTE = "12 voices, all octaves, 1 thread"
#: Parameters of cmor for Morlet 6: bandwidth 2, centre 6/2π.
PYWT_MORLET = f"cmor2.0-{6 / (2 * np.pi):.6f}"

Precision = Literal["float32", "float64"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Signal = NDArray[np.floating[Any]]


class Peer(NamedTuple):
    """An implementation of a task and its differences; `work` is None if it is not installed."""

    name: str
    work: Callable[[], object] | None
    note: str


def record(n: int, dtype: str) -> Signal:
    """Return red noise."""
    return ours.rednoise(n, 0.7, rng=1).astype(dtype)


def scales_of(n: int) -> NDArray[np.float64]:
    """Return the scales for all implementations, in samples."""
    first = 2 / ours.Morlet().fourier_factor
    count = round(np.log2(n / first) * VOICES) + 1
    return np.asarray(first * 2 ** (np.arange(count) / VOICES))


def transform_works(
    n: int, repeats: int, *, memory: tuple[Precision, ...] = PRECISIONS
) -> tuple[Work, ...]:
    """Measure one transform with all implementations in both precisions, and as multirate.

    All of them run in turns. pycwt always computes in float64, so it runs once per round and
    appears in all tables: when it was timed separately for each precision, minutes apart, the same
    work differed by a factor of two. Peak memory is measured only for this project, in the
    precisions of `memory`, because each number needs a new process.
    """
    note = "full matrix, always float64, pads to a power of two"
    by_precision = {precision: _of_precision(precision, n) for precision in PRECISIONS}
    named = [Peer("pycwt", _pycwt(record(n, "float64")), note), *chain(*by_precision.values())]
    pycwt, *lines = _measured(named, repeats)
    works: list[Work] = []
    rest = iter(lines)
    for precision, those in by_precision.items():
        full, multirate, *theirs = islice(rest, len(those))
        if precision in memory:
            full = replace(full, peak_bytes=peak_bytes(partial(_full_once, precision, n)))
            multirate = replace(
                multirate, peak_bytes=peak_bytes(partial(_multirate_once, precision, n))
            )
        size = f"n={n:,}, {OCTAVES_NOTE}, {precision}"
        works += [
            Work(title=f"cwt at full rate, {size}", measurements=(full, pycwt, *theirs)),
            Work(title=f"multirate, {size}", measurements=(multirate, pycwt, *theirs)),
        ]
    return tuple(works)


def _of_precision(precision: Precision, n: int) -> list[Peer]:
    """Return the implementations in this precision, ours first."""
    x = record(n, precision)
    fcwt = Peer("fcwt", _fcwt(x), "full matrix, always float32, its own Morlet (sigma 2)")
    return [
        Peer(US, partial(ours.cwt, x, 1.0), "full matrix"),
        Peer(US, partial(ours.multirate, x, 1.0), "every octave at its own rate"),
        *([fcwt] if precision == "float32" else []),
        Peer("pywt", _pywt(x), "full matrix, cmor as Morlet 6, method='fft'"),
        Peer("ssqueezepy", _ssqueezepy(x, precision), "full matrix, morlet mu=6, padtype='zero'"),
    ]


def growth_works(n: int, repeats: int, multirate: int = 6, full: int = 4) -> tuple[Work, Work]:
    """Measure records of n/2, n, 2 n, ...: `multirate` sizes as multirate, `full` at full rate."""
    sizes = [n * 2**k // 2 for k in range(max(multirate, full))]
    return (
        _growth("multirate", ours.multirate, _multirate_once, sizes[:multirate], repeats),
        _growth("cwt at full rate", ours.cwt, _full_once, sizes[:full], repeats),
    )


def _growth(
    title: str,
    transform: Callable[..., object],
    once: Callable[[str, int], object],
    sizes: list[int],
    repeats: int,
) -> Work:
    """Measure a transform of records of all sizes, in turns."""
    works: list[Callable[[], object]] = [
        partial(transform, record(size, "float32"), 1.0) for size in sizes
    ]
    lines = tuple(
        Measurement(
            who=US,
            seconds=seconds,
            peak_bytes=peak_bytes(partial(once, "float32", size)),
            note=f"n={size:,}; {statistics.median(seconds) / size * 1e9:.0f} ns per sample",
        )
        for size, seconds in zip(sizes, rounds(works, repeats), strict=True)
    )
    return Work(title=f"{title}, cost with length, {OCTAVES_NOTE}, float32", measurements=lines)


def floor_work(n: int, repeats: int) -> Work:
    """Measure writing the result, the lower bound of the time of any full matrix."""
    shape = (len(scales_of(n)), n)
    (seconds,) = rounds([lambda: np.empty(shape, np.complex64).fill(1)], repeats)
    line = Measurement(who=f"numpy {np.__version__}", seconds=seconds, note="np.empty, filled once")
    return Work(
        title=f"floor: writing a result of that size, {shape}, complex64", measurements=(line,)
    )


def _measured(named: list[Peer], repeats: int) -> list[Measurement]:
    works = [each.work for each in named if each.work is not None]
    times = iter(rounds(works, repeats))
    found = []
    for name, work, note in named:
        who = peers.who(name) if name in peers.PACKAGES else name
        if work is None:
            found.append(peers.missing(name))
        else:
            found.append(Measurement(who=who, seconds=next(times), note=note))
    return found


def _full_once(dtype: str, n: int) -> object:
    return ours.cwt(record(n, dtype), 1.0)


def _multirate_once(dtype: str, n: int) -> object:
    return ours.multirate(record(n, dtype), 1.0)


def _pycwt(x: Signal) -> Callable[[], object] | None:
    pycwt = peers.load("pycwt")
    return None if pycwt is None else partial(pycwt.cwt, x, 1.0)


def _fcwt(x: Signal) -> Callable[[], object] | None:
    fcwt = peers.load("fcwt")
    if fcwt is None:
        return None
    count = len(scales_of(len(x)))
    lowest = 0.5 * 2 ** (-(count - 1) / VOICES)
    return partial(fcwt.cwt, x.astype(np.float32), 1, lowest, 0.5, count, 1, "log")


def _pywt(x: Signal) -> Callable[[], object] | None:
    pywt = peers.load("pywt")
    if pywt is None:
        return None
    wavelet = pywt.ContinuousWavelet(PYWT_MORLET)
    return partial(pywt.cwt, x, scales_of(len(x)), wavelet, method="fft")


def _ssqueezepy(x: Signal, dtype: str) -> Callable[[], object] | None:
    ssqueezepy = peers.load("ssqueezepy")
    if ssqueezepy is None:
        return None
    wavelet = ssqueezepy.Wavelet(("morlet", {"mu": 6.0, "dtype": dtype}))
    scales = scales_of(len(x)).astype(dtype)
    return partial(ssqueezepy.cwt, x, wavelet, scales=scales, padtype="zero", cache_wavelet=False)
