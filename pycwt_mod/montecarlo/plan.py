"""From a question about significance to independent tasks: everything that decides the numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from pycwt_mod.arrays import Convention
from pycwt_mod.bandfold import folded_length, power_of_two_below
from pycwt_mod.montecarlo.null import NULL_TOL, NullRows, NullTask
from pycwt_mod.scale_axis import geometric
from pycwt_mod.smoothing import ScaleBoxcar, coherence_bandwidth
from pycwt_mod.wavelets import Wavelet, as_wavelet

#: Raise it when the numbers of a seed change; it is part of every plan, and so of cache keys.
ALGORITHM_VERSION = 2
#: Length of endless noise in units of an octave's largest scale.
ENDLESS_SCALES = 64
#: Tasks per octave; their scatter gives the standard error.
CHUNKS = 20
#: Tolerance of the simulated smoothing against aliases.
_ALIAS_TOL = 1e-3


@dataclass(frozen=True, kw_only=True)
class MonteCarloPlan:
    """All that decides the histograms of `wct_significance`, bit for bit.

    Hashable, so it serves as the key of a cache. `s0` is in samples; `entropy` is the seed.
    With a `precision`, `mc_count` is the number of pairs to begin with.
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
    version: int = ALGORITHM_VERSION

    def __post_init__(self) -> None:
        object.__setattr__(self, "wavelet", as_wavelet(self.wavelet))

    def octaves(self) -> tuple[NullRows, ...]:
        """Return the rows to simulate, octave by octave."""
        boxcar = ScaleBoxcar.of(self.wavelet.deltaj0, self.dj, self.convention)
        scales = geometric(self.s0, self.dj, self.J)
        record = math.ceil(6 * scales[-1])
        per_octave = max(1, round(1 / self.dj))
        found = []
        for start in range(0, self.J + 1, per_octave):
            stop = min(start + per_octave, self.J + 1)
            low, high = max(0, start + boxcar.first), min(self.J + 1, stop + boxcar.last)
            rows = tuple(float(s) for s in scales[low:high])
            long_enough = record >= ENDLESS_SCALES * rows[-1]
            found.append(
                null_rows(
                    self.wavelet,
                    rows,
                    (start - low, stop - low),
                    boxcar,
                    self.al1,
                    self.al2,
                    record=0 if long_enough else record,
                    centred=self.convention == "standard",
                )
            )
        return tuple(found)

    def tasks(self) -> tuple[tuple[NullTask, ...], ...]:
        """Return the tasks of each octave; together they simulate `mc_count` pairs."""
        return tuple(
            chunked(rows, octave, self.mc_count, self.entropy)
            for octave, rows in enumerate(self.octaves())
        )


def chunked(
    rows: NullRows, octave: int, pairs: int, entropy: int, first: int = 0
) -> tuple[NullTask, ...]:
    """Return up to `CHUNKS` tasks that share `pairs`, numbered from `first`."""
    each, more = divmod(pairs, CHUNKS)
    sizes = [each + (chunk < more) for chunk in range(CHUNKS)]
    return tuple(
        NullTask(rows=rows, pairs=size, entropy=entropy, spawn_key=(octave, first + chunk))
        for chunk, size in enumerate(sizes)
        if size
    )


def null_rows(
    wavelet: Wavelet,
    scales: tuple[float, ...],
    keep: tuple[int, int],
    boxcar: ScaleBoxcar,
    al1: float,
    al2: float,
    *,
    record: int = 0,
    centred: bool = True,
) -> NullRows:
    """Return the null of some rows; scales, record and AR(1) per sample of the signal.

    A record with ends is generated at every d-th sample, as far as its Nyquist frequency
    stays above the band: AR(1) noise sampled every d is AR(1) noise with coefficient al^d.
    """
    width = _bandwidth(wavelet)
    if not record:
        step = power_of_two_below(2 * math.pi * scales[0] / width)
        length = folded_length(ENDLESS_SCALES * scales[-1], step)
        return NullRows(
            wavelet=wavelet, scales=scales, keep=keep, step=step, length=length, record=0,
            al1=al1, al2=al2, centred=centred, boxcar=boxcar,
        )  # fmt: skip
    top = wavelet.frequency_band(NULL_TOL)[1]
    thin = power_of_two_below(math.pi * scales[0] / top)
    thinned = tuple(s / thin for s in scales)
    step = power_of_two_below(2 * math.pi * thinned[0] / width)
    samples = math.ceil(record / thin)
    return NullRows(
        wavelet=wavelet, scales=thinned, keep=keep, step=step,
        length=folded_length(1.5 * samples, step), record=samples,
        al1=al1**thin, al2=al2**thin, centred=centred, boxcar=boxcar,
    )  # fmt: skip


@lru_cache(maxsize=64)
def _bandwidth(wavelet: Wavelet) -> float:
    return coherence_bandwidth(wavelet, _ALIAS_TOL)
