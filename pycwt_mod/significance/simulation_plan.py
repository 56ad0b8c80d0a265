"""The plan of a simulation: everything that its numbers depend on, and its independent tasks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pycwt_mod.arrays import Convention, padded_length
from pycwt_mod.engine.bands import coherence_bandwidth
from pycwt_mod.engine.decimation import fast_length, power_of_two_below
from pycwt_mod.engine.scale_axis import geometric
from pycwt_mod.significance.surrogates import SURROGATE_TOL, SurrogateOctave, SurrogateTask
from pycwt_mod.smoothing import ScaleBoxcar
from pycwt_mod.wavelets import Wavelet, as_wavelet

#: Raise it when the numbers of a seed change; it is part of every plan, and so of cache keys.
ALGORITHM_VERSION = 3
#: Length of endless noise in units of an octave's largest scale.
ENDLESS_SCALES = 64
#: Records of the user's length that are shorter than this, in units of a scale, have their ends
#: exactly where those of the signal are, and up to `MOST_REPEATS` times as many pairs.
SHORT_SCALES = 16
MOST_REPEATS = 4
#: There: largest spacing of the samples that are counted, and padding that no wavelet crosses,
#: in units of the smallest and of the largest scale of an octave.
_SHORT_SPACING = 0.5
_SHORT_PADDING = 6
#: Tasks per octave; their scatter gives the standard error.
CHUNKS = 20
#: Tolerance of the simulated smoothing against aliases.
_ALIAS_TOL = 1e-3


@dataclass(frozen=True, kw_only=True)
class MonteCarloPlan:
    """Everything that the histograms of `wct_significance` depend on, bit for bit.

    Hashable, so it serves as the key of a cache. `s0` is in samples; `entropy` is the seed.
    With a `precision`, `mc_count` is the number of pairs to begin with. `n` is the length of the
    user's record; without it records have 6 times the largest scale.
    """

    al1: float
    al2: float
    dj: float
    s0: float
    J: int
    wavelet: Wavelet
    mc_count: int
    convention: Convention
    entropy: int
    precision: float | None = None
    n: int | None = None
    version: int = ALGORITHM_VERSION

    def __post_init__(self) -> None:
        object.__setattr__(self, "wavelet", as_wavelet(self.wavelet))

    def octaves(self) -> tuple[SurrogateOctave, ...]:
        """Return the rows to simulate, octave by octave."""
        boxcar = ScaleBoxcar.of(self.wavelet.deltaj0, self.dj, self.convention)
        scales = geometric(self.s0, self.dj, self.J)
        per_octave = max(1, round(1 / self.dj))
        octaves = []
        for start in range(0, self.J + 1, per_octave):
            stop = min(start + per_octave, self.J + 1)
            low, high = max(0, start + boxcar.first), min(self.J + 1, stop + boxcar.last)
            rows = tuple(float(s) for s in scales[low:high])
            octaves.append(self._rows(rows, (start - low, stop - low), boxcar, float(scales[-1])))
        return tuple(octaves)

    def _rows(
        self, scales: tuple[float, ...], keep: tuple[int, int], boxcar: ScaleBoxcar, largest: float
    ) -> SurrogateOctave:
        record = self.n or math.ceil(6 * largest)
        noises = (self.wavelet, scales, keep, boxcar, self.al1, self.al2)
        centred = self.convention == "standard"
        if record >= ENDLESS_SCALES * scales[-1]:
            return surrogate_octave(*noises, centred=centred)
        if self.n is not None and self.n < SHORT_SCALES * scales[keep[1] - 1]:
            return short_record_octave(*noises, n=self.n, convention=self.convention)
        return surrogate_octave(*noises, record=record, centred=centred)

    def tasks(self) -> tuple[tuple[SurrogateTask, ...], ...]:
        """Return the tasks of each octave; together they simulate `mc_count` pairs or more."""
        return tuple(
            chunked(rows, octave, self.mc_count * self._repeats(rows), self.entropy)
            for octave, rows in enumerate(self.octaves())
        )

    def _repeats(self, rows: SurrogateOctave) -> int:
        """Return the factor on `mc_count` that makes the rows as exact as the others."""
        if self.n is None or not rows.record:
            return 1
        largest = rows.scales[rows.keep[1] - 1]
        return min(MOST_REPEATS, math.ceil(SHORT_SCALES * largest / rows.record))


def chunked(
    rows: SurrogateOctave, octave: int, pairs: int, entropy: int, first: int = 0
) -> tuple[SurrogateTask, ...]:
    """Return up to `CHUNKS` tasks that share `pairs`, numbered from `first`."""
    each, more = divmod(pairs, CHUNKS)
    sizes = [each + (chunk < more) for chunk in range(CHUNKS)]
    return tuple(
        SurrogateTask(rows=rows, pairs=size, entropy=entropy, spawn_key=(octave, first + chunk))
        for chunk, size in enumerate(sizes)
        if size
    )


def surrogate_octave(
    wavelet: Wavelet,
    scales: tuple[float, ...],
    keep: tuple[int, int],
    boxcar: ScaleBoxcar,
    al1: float,
    al2: float,
    *,
    record: int = 0,
    centred: bool = True,
) -> SurrogateOctave:
    """Return the surrogate octave of some rows; scales, record and AR(1) per sample of the signal.

    A record with ends is generated at every d-th sample, as far as its Nyquist frequency
    stays above the band: AR(1) noise sampled every d is AR(1) noise with coefficient al^d.
    """
    width = coherence_bandwidth(wavelet, _ALIAS_TOL)
    if not record:
        step = power_of_two_below(2 * math.pi * scales[0] / width)
        length = fast_length(ENDLESS_SCALES * scales[-1], step)
        return SurrogateOctave(
            wavelet=wavelet, scales=scales, keep=keep, step=step, length=length, record=0,
            al1=al1, al2=al2, centred=centred, boxcar=boxcar,
        )  # fmt: skip
    thin = _thinning(wavelet, scales[0])
    thinned = tuple(s / thin for s in scales)
    step = power_of_two_below(2 * math.pi * thinned[0] / width)
    samples = math.ceil(record / thin)
    return SurrogateOctave(
        wavelet=wavelet, scales=thinned, keep=keep, step=step,
        length=fast_length(1.5 * samples, step), record=samples,
        al1=al1**thin, al2=al2**thin, centred=centred, boxcar=boxcar,
    )  # fmt: skip


def short_record_octave(
    wavelet: Wavelet,
    scales: tuple[float, ...],
    keep: tuple[int, int],
    boxcar: ScaleBoxcar,
    al1: float,
    al2: float,
    *,
    n: int,
    convention: Convention,
) -> SurrogateOctave:
    """Return the surrogate octave of rows that feel the ends of a record of `n` samples everywhere.

    The record is generated at a longer interval than the signal's, as `surrogate_octave` does, but
    at one that divides it exactly: its ends are where those of the signal are, and one of the
    samples that are counted lies in its middle.
    """
    thin = _thinning(wavelet, scales[0])
    spacing = min(2 * math.pi / coherence_bandwidth(wavelet, _ALIAS_TOL), _SHORT_SPACING)
    step = power_of_two_below(spacing * scales[0] / thin)
    samples = n if thin == 1 else 2 * step * math.ceil((n / thin - 1) / (2 * step)) + 1
    interval = n / samples
    padded = min(padded_length(n, convention), n + _SHORT_PADDING * scales[-1])
    return SurrogateOctave(
        wavelet=wavelet, scales=tuple(s / interval for s in scales), keep=keep, step=step,
        length=fast_length(padded / interval, step), record=samples,
        al1=_thinned(al1, interval), al2=_thinned(al2, interval),
        centred=convention == "standard", boxcar=boxcar, exact_ends=True,
    )  # fmt: skip


def _thinning(wavelet: Wavelet, smallest: float) -> int:
    """Return the step at which noise for scales from `smallest` on can be generated."""
    top = wavelet.frequency_band(SURROGATE_TOL)[1]
    return power_of_two_below(math.pi * smallest / top)


def _thinned(lag1: float, interval: float) -> float:
    """Return the AR(1) coefficient of every `interval`-th sample."""
    return lag1 if interval == 1 else abs(lag1) ** interval
