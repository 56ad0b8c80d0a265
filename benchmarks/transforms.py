"""The wavelet transform of a long record."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pycwt_mod as ours
from benchmarks import peers
from benchmarks.clock import peak_bytes, rounds
from benchmarks.measurement import Measurement, Work

N, VOICES = 100_000, 12
US = f"pycwt_mod {ours.__version__}"
OCTAVES_NOTE = "12 voices, all octaves, 1 thread"
#: cmor's parameters that make it Morlet 6: bandwidth 2, centre 6/2π.
PYWT_MORLET = f"cmor2.0-{6 / (2 * np.pi):.6f}"

Signal = NDArray[np.floating[Any]]


def record(n: int, dtype: str) -> Signal:
    """Return red noise."""
    return ours.rednoise(n, 0.7, rng=1).astype(dtype)


def scales_of(n: int) -> NDArray[np.float64]:
    """Return the scales that everybody uses, in samples."""
    first = 2 / ours.Morlet().fourier_factor
    count = round(np.log2(n / first) * VOICES) + 1
    return np.asarray(first * 2 ** (np.arange(count) / VOICES))


def transform_works(dtype: str, n: int, repeats: int, *, memory: bool = True) -> tuple[Work, Work]:
    """Measure one transform with everybody: at full rate, and as multirate.

    Ours with its peak memory, unless `memory` is False: each takes the start of a process.
    """
    x = record(n, dtype)
    named: list[tuple[str, Callable[[], object] | None, str]] = [
        (US, partial(ours.cwt, x, 1.0), "full matrix"),
        (US, partial(ours.multirate, x, 1.0), "every octave at its own rate"),
        ("pycwt", _pycwt(x), "full matrix, always float64, pads to a power of two"),
        ("fcwt", _fcwt(x), "full matrix, always float32, its own Morlet (sigma 2)"),
        ("pywt", _pywt(x), "full matrix, cmor as Morlet 6, method='fft'"),
        ("ssqueezepy", _ssqueezepy(x, dtype), "full matrix, morlet mu=6, padtype='zero'"),
    ]
    if dtype == "float64":
        named = [each for each in named if each[0] != "fcwt"]
    full, multirate, *theirs = _measured(named, repeats)
    if memory:
        full = replace(full, peak_bytes=peak_bytes(partial(_full_once, dtype, n)))
        multirate = replace(multirate, peak_bytes=peak_bytes(partial(_multirate_once, dtype, n)))
    size = f"n={n:,}, {OCTAVES_NOTE}, {dtype}"
    return (
        Work(title=f"cwt at full rate, {size}", measurements=(full, *theirs)),
        Work(title=f"multirate, {size}", measurements=(multirate, *theirs)),
    )


def growth_works(n: int, repeats: int, multirate: int = 6, full: int = 4) -> tuple[Work, Work]:
    """Measure records of n/2, n, 2 n, ...: so many with multirate, and with the full matrix."""
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
            note=f"n={size:,}; {statistics.median(seconds) / size * 1e9:.0f} ns a sample",
        )
        for size, seconds in zip(sizes, rounds(works, repeats), strict=True)
    )
    return Work(title=f"{title}, cost with length, {OCTAVES_NOTE}, float32", measurements=lines)


def floor_work(n: int, repeats: int) -> Work:
    """Measure what writing the result takes, the least that any full matrix costs."""
    shape = (len(scales_of(n)), n)
    (seconds,) = rounds([lambda: np.empty(shape, np.complex64).fill(1)], repeats)
    line = Measurement(who=f"numpy {np.__version__}", seconds=seconds, note="np.empty, filled once")
    return Work(
        title=f"floor: writing a result of that size, {shape}, complex64", measurements=(line,)
    )


def _measured(
    named: list[tuple[str, Callable[[], object] | None, str]], repeats: int
) -> list[Measurement]:
    works = [work for _, work, _ in named if work is not None]
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
