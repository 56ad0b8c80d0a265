"""How many signals a smoothing can carry: its degrees of freedom decide on the level of noise."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from pycwt_mod.arrays import Convention
from pycwt_mod.conditioning import Statistic
from pycwt_mod.significance.simulation import quantile, surrogate_octave
from pycwt_mod.significance.surrogates import SurrogateTask, run_task
from pycwt_mod.smoothing import ScaleBoxcar
from pycwt_mod.wavelets import Wavelet

#: Largest 95 % level of white noise at which a coherence still carries information.
MOST_LEVEL = 0.95
#: Most signals of one analysis: the time of a simulation is proportional to their square.
MOST_SIGNALS = 16
#: Surrogates of the level of two signals, 64 scales each: its standard error is 0.002. There are
#: fewer of many signals, whose level is higher and has a smaller error.
_SETS = 400
#: Smallest scale in samples, at which the band of every wavelet is below Nyquist.
_SCALE = 16.0


@lru_cache(maxsize=256)
def white_level(
    wavelet: Wavelet, dj: float, convention: Convention, statistic: Statistic, count: int
) -> float:
    """Return the 95 % level of R² of `count` unrelated white noises, away from all ends.

    It depends on the wavelet and its δj0, which determine the degrees of freedom of the smoothing.
    The seed is fixed.
    """
    boxcar = ScaleBoxcar.of(wavelet.deltaj0, dj, convention)
    offsets = np.arange(boxcar.first, boxcar.last + 1)
    scales = tuple((_SCALE * 2.0 ** (dj * (offsets - boxcar.first))).tolist())
    middle = -boxcar.first
    rows = surrogate_octave(wavelet, scales, (middle, middle + 1), boxcar, *[0.0] * count)
    rows = replace(rows, statistic=statistic)
    sets = min(_SETS, 9 * _SETS // count**2)
    task = SurrogateTask(rows=rows, pairs=sets, entropy=0, spawn_key=(0, 0))
    return quantile(run_task(task)[0], 0.95)


def check_degrees_of_freedom(
    wavelet: Wavelet, dj: float, convention: Convention, statistic: Statistic, count: int
) -> None:
    """Raise ValueError, with the level, if the smoothing cannot carry `count` signals."""
    given = count - (2 if statistic == "partial" else 1)
    if count > MOST_SIGNALS:
        raise ValueError(f"cannot use {given} given signals: {MOST_SIGNALS} is the limit for all")
    level = white_level(wavelet, dj, convention, statistic, count)
    if level > MOST_LEVEL:
        raise ValueError(
            f"cannot use {given} given signals: unrelated white noises reach a {statistic} "
            f"coherence of {level:.3f} (95 % level) with a smoothing over {wavelet.deltaj0:g} "
            f"octaves, and at most {MOST_LEVEL} is accepted; give fewer, or a larger deltaj0"
        )
