"""The table of thresholds: its coverage, and the lookup.

Under the null hypothesis the coherence of a row depends on the rows within its scale boxcar, on the
length of the record in units of its scale, and near a period of two samples on where Nyquist cuts
its band; and hardly on anything else. A few short lists per (wavelet, convention, voices per
octave) are therefore sufficient: rows near the lower end of the axis, which lack neighbours and may
be cut; rows in the middle, which are all alike; and rows near the upper end, which lack neighbours
and also feel the ends of a record of 6 s_max. `pycwt_mod.significance.table.ends` has the effect of
the ends of a record of n samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import (
    CONVENTIONS,
    Convention,
    check_convention,
    check_level,
    check_positive,
    read_only,
)
from pycwt_mod.significance.table.colours import exponents
from pycwt_mod.significance.table.ends import record_exponents
from pycwt_mod.significance.table.files import stored
from pycwt_mod.smoothing import ScaleBoxcar
from pycwt_mod.wavelets import DOG, MexicanHat, Morlet, Paul, Wavelet, as_wavelet

__all__ = [
    "CONVENTIONS",
    "LEVELS",
    "VOICES",
    "WAVELETS",
    "LevelTable",
    "NotTabulated",
]

#: Covered numbers of voices per octave, 1/dj.
VOICES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)
#: Tabulated significance levels; between them log(1 - R²) is linear in log(1 - p), which is exact
#: for a coherence of a fixed number of independent terms.
LEVELS = (0.8, 0.9, 0.95, 0.975, 0.99, 0.995)
#: Below the largest scale the ends of the record are felt over log2(64/6) octaves.
TOP_OCTAVES = 3.5
#: Smallest scales of which the rows near Nyquist are tabulated, in octaves above a period of two
#: samples; thresholds between them are interpolated.
NYQUIST_STARTS = (0.0, 0.25, 0.5, 0.75)
#: At this number of octaves above it, less than 5 % of a covered wavelet lies beyond Nyquist.
NYQUIST_OCTAVES = 1.25
#: Covered wavelets, and their names in the file.
WAVELETS: dict[Wavelet, str] = {
    Morlet(6): "morlet-6",
    Paul(4): "paul-4",
    DOG(2): "dog-2",
    MexicanHat(): "dog-2",
    DOG(6): "dog-6",
}
#: AR(1) coefficients from here on are covered: estimates for white noise fall below zero.
LEAST_LAG1 = -0.1
#: Upper limit for records, whose ends redder noise would feel. Endless noise has no upper limit:
#: beyond a point its spectrum falls like ω^-2 in the band of every row.
MOST_LAG1 = 0.999
#: Shorter records are not covered: rows near Nyquist would feel the ends of the record.
LEAST_SAMPLES = 50
#: Thresholds and errors are stored as integers in this unit.
UNIT = 1 / 50_000
FILE = "levels.npz"

Numbers = NDArray[np.float64]


def top_rows(voices: int) -> int:
    """Return how many rows below the largest scale feel the ends of the record."""
    return math.ceil(TOP_OCTAVES * voices)


def nyquist_rows(voices: int, start: float) -> int:
    """Return how many rows feel Nyquist if the first is `start` octaves above two samples."""
    return max(0, math.ceil((NYQUIST_OCTAVES - start) * voices - 1e-9))


def file_key(name: str, convention: str, voices: int) -> str:
    """Return the name of the tables of an analysis in the file."""
    return f"{name}/{convention}/{voices}"


class NotTabulated(ValueError):  # noqa: N818 - a name that reads as what it says
    """The table does not cover the arguments in the message: simulate the threshold instead."""

    @classmethod
    def because(cls, reason: str) -> NotTabulated:
        """Return the error with the alternative in its message."""
        return cls(
            f"cannot look up the threshold: {reason}; simulate it, as method='montecarlo' does"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class LevelTable:
    """Thresholds of one wavelet, convention and number of voices, for white noise.

    Every array has shape (2, rows, len(LEVELS)): the thresholds of R², and their standard errors.

    Attributes
    ----------
    lower : ndarray
        Endless noise, rows from the smallest scale up, as far as they lack a neighbour.
    middle : ndarray
        Endless noise, a row with all neighbours.
    upper : ndarray
        Endless noise, rows from the largest scale down, as far as they lack a neighbour.
    ending : ndarray
        Records of 6 s_max outside the cone of influence, rows from the largest scale down.
    cut : tuple of ndarray
        Endless noise, rows from the smallest scale up, for each of `NYQUIST_STARTS`.
    """

    wavelet: Wavelet
    convention: Convention
    voices: int

    lower: Numbers
    middle: Numbers
    upper: Numbers
    ending: Numbers
    cut: tuple[Numbers, ...]

    @classmethod
    def of(cls, wavelet: Wavelet, dj: float, convention: Convention) -> LevelTable:
        """Return the tables of an analysis.

        Raises
        ------
        NotTabulated
            If the tables do not cover it; the message gives what they cover.
        """
        check_convention(convention)
        voices = round(1 / check_positive("dj", dj))
        if voices not in VOICES or abs(dj * voices - 1) > 1e-9:
            raise NotTabulated.because(f"{dj=} isn't in the table, where 1/dj is one of {VOICES}")
        mother = as_wavelet(wavelet)
        if mother not in WAVELETS:
            covered = sorted(set(WAVELETS.values()))
            raise NotTabulated.because(f"{wavelet=} isn't in the table, which has {covered}")
        return _load(file_key(WAVELETS[mother], convention, voices), mother, convention)

    def record(
        self,
        s0: float,
        J: int,
        level: float,
        lags: tuple[float, float] = (0.0, 0.0),
        n: int | None = None,
    ) -> tuple[Numbers, Numbers]:
        """Return thresholds and errors for the scales s0 2^(j/voices) of records of `n` samples.

        Without `n` the records have 6 s_max samples. `lags` are the AR(1) coefficients of the
        noises, per sample.

        Raises
        ------
        NotTabulated
            If `s0` (in samples), `J`, the level or the noise is not covered.
        """
        if n is None:
            return self._found(s0, self._joined(s0, J + 1, self.ending), level, lags)
        if n < LEAST_SAMPLES:
            raise NotTabulated.because(
                f"{n=} isn't in the table, which is for records of {LEAST_SAMPLES} samples or more"
            )
        return self._found(s0, self._joined(s0, J + 1, self.upper), level, lags, n=n)

    def endless(
        self, s0: float, n_voices: int, level: float, lags: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[Numbers, Numbers]:
        """Return thresholds and errors for `n_voices` scales from `s0` of noise without ends.

        `lags` are the AR(1) coefficients of the noises, per sample.

        Raises
        ------
        NotTabulated
            If `s0` (in samples), the number of voices, the level or the noise is not covered.
        """
        return self._found(s0, self._joined(s0, n_voices, self.upper), level, lags, 1.0)

    def _found(
        self,
        s0: float,
        rows: Numbers,
        level: float,
        lags: tuple[float, float],
        most_lag1: float = MOST_LAG1,
        n: int | None = None,
    ) -> tuple[Numbers, Numbers]:
        """Convert thresholds of white endless noise at `level` to red noise, and records of `n`."""
        lowest, highest = min(lags), max(lags)
        if not LEAST_LAG1 <= lowest <= highest <= most_lag1:
            raise NotTabulated.because(
                f"the AR(1) coefficients {lags} aren't in the table, whose coefficients are from "
                f"{LEAST_LAG1} to {most_lag1}"
            )
        if highest > 0:
            g = exponents(
                self.wavelet, WAVELETS[self.wavelet], self.convention, self.voices, s0,
                rows.shape[1], lags,
            )  # fmt: skip
            rows = np.stack([1 - (1 - rows[0]) ** g, rows[1]])
        if n is not None:
            scales = s0 * 2.0 ** (np.arange(rows.shape[1]) / self.voices)
            h = record_exponents(WAVELETS[self.wavelet], self.voices, scales, n)
            rest = 1 - rows[0]
            rows = np.stack([1 - rest**h, rows[1] * h * rest ** (h - 1)])
        return _at_level(rows, level)

    def _joined(self, s0: float, count: int, top: Numbers) -> Numbers:
        low = self._low(s0)
        middle = count - low.shape[1] - top.shape[1]
        if middle < 0:
            raise NotTabulated.because(
                f"{count} scales from {s0:g} samples are too few for the table, which is for "
                f"{count - middle} or more at this dj"
            )
        rows = [low, np.repeat(self.middle, middle, axis=1), top[:, ::-1]]
        return np.concatenate(rows, axis=1)

    def _low(self, s0: float) -> Numbers:
        """Return the rows that feel the lower end of the axis, interpolated between starts."""
        start = math.log2(s0 * self.wavelet.fourier_factor / 2)
        if start < -1e-9:
            raise NotTabulated.because(
                f"a smallest scale of {s0:g} samples isn't in the table, whose scales are from "
                f"{2 / self.wavelet.fourier_factor:g} samples on, a period of two"
            )
        if start >= NYQUIST_OCTAVES:
            return self.lower
        above = int(np.searchsorted(NYQUIST_STARTS, start, side="right"))
        ends = (*NYQUIST_STARTS, NYQUIST_OCTAVES)
        weight = max(0.0, start - ends[above - 1]) / (ends[above] - ends[above - 1])
        count = nyquist_rows(self.voices, ends[above - 1]) + self.lower.shape[1]
        left, right = ((*self.cut, self.lower)[i] for i in (above - 1, above))
        filled = np.repeat(self.middle, count - right.shape[1], axis=1)
        right = np.concatenate([right, filled], axis=1)
        mixed: Numbers = (1 - weight) * left + weight * right
        return mixed


def _at_level(rows: Numbers, level: float) -> tuple[Numbers, Numbers]:
    check_level("level", level)
    if not LEVELS[0] <= level <= LEVELS[-1]:
        raise NotTabulated.because(
            f"{level=} isn't in the table, whose levels are from {LEVELS[0]} to {LEVELS[-1]}"
        )
    above = max(1, int(np.searchsorted(LEVELS, level)))
    low, high = LEVELS[above - 1], LEVELS[above]
    weight = math.log((1 - level) / (1 - low)) / math.log((1 - high) / (1 - low))
    # Whole numbers of `UNIT` may round to 1.
    rest = np.log(np.maximum(1 - rows[0, :, above - 1 : above + 1], UNIT / 2))
    levels = 1 - np.exp((1 - weight) * rest[:, 0] + weight * rest[:, 1])
    return levels, rows[1, :, above - 1 : above + 1].max(axis=1)


@lru_cache(maxsize=128)
def _load(key: str, wavelet: Wavelet, convention: Convention) -> LevelTable:
    rows = read_only(stored(FILE)[key] * UNIT)
    voices = int(key.rpartition("/")[2])
    boxcar = ScaleBoxcar.of(wavelet.deltaj0, 1 / voices, convention)
    lengths = [-boxcar.first, 1, boxcar.last, top_rows(voices)]
    lengths += [nyquist_rows(voices, start) - boxcar.first for start in NYQUIST_STARTS]
    lower, middle, upper, ending, *cut = np.split(rows, np.cumsum(lengths)[:-1], axis=1)
    return LevelTable(
        wavelet=wavelet, convention=convention, voices=voices, lower=lower, middle=middle,
        upper=upper, ending=ending, cut=tuple(cut),
    )  # fmt: skip
