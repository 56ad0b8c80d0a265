"""The scales of an analysis, and where its ends and gaps make themselves felt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import (
    Bools,
    Floats,
    check_positive,
    last_row,
    positive_axis,
    read_only,
)
from pycwt_mod.wavelets import Wavelet

#: More scales than any record resolves: 60 octaves of 1,000 voices stay below.
MAX_SCALES = 100_000
#: Scales up to 2^this leave room for what is computed from them.
MAX_LOG2 = 500


@dataclass(frozen=True, kw_only=True)
class ScaleAxis:
    """The scales of an analysis, s_j = s0 2^(j dj), and their Fourier frequencies.

    Both arrays are read-only copies: plans are cached, and results get copies of their own.
    """

    scales: Floats
    freqs: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", read_only(self.scales.copy()))
        object.__setattr__(self, "freqs", read_only(self.freqs.copy()))

    @property
    def ascending(self) -> slice | NDArray[np.intp]:
        """Index that puts the scales in ascending order; all of them if they are."""
        if (np.diff(self.scales) >= 0).all():
            return slice(None)
        return np.argsort(self.scales, kind="stable")

    @property
    def ascending_scales(self) -> Floats:
        """The scales in ascending order."""
        return self.scales[self.ascending]

    @property
    def places(self) -> slice | NDArray[np.intp]:
        """Index that puts rows of `ascending_scales` in the order of the axis."""
        order = self.ascending
        return order if isinstance(order, slice) else np.argsort(order)

    @classmethod
    def make(
        cls,
        n: int,
        dt: float,
        dj: float,
        s0: float,
        J: float,
        wavelet: Wavelet,
        freqs: ArrayLike | None = None,
    ) -> ScaleAxis:
        """Resolve pycwt's defaults (-1 means automatic) for a record of `n` samples."""
        check_positive("dt", dt)
        check_positive("dj", dj)
        if freqs is not None:
            own = positive_axis("freqs", freqs)
            return cls(scales=1 / (wavelet.fourier_factor * own), freqs=own)
        first: float = 2 * dt / wavelet.fourier_factor if s0 == -1 else check_positive("s0", s0)
        last = round(math.log2(n * dt / first) / dj) if J == -1 else last_row(J)
        if last < 0:
            raise ValueError(
                f"s0={first:g} is larger than the record, n dt = {n * dt:g}; choose a smaller s0"
            )
        scales = geometric(first, dj, last)
        return cls(scales=scales, freqs=1 / (wavelet.fourier_factor * scales))


def geometric(s0: float, dj: float, J: int) -> NDArray[np.float64]:
    """Return s0 2^(j dj) for j from 0 to `J`.

    Raises
    ------
    ValueError
        If there would be more of them than `MAX_SCALES`, or the largest beyond all numbers.
    """
    if J >= MAX_SCALES:
        raise ValueError(f"{J=} must be less than {MAX_SCALES}; {dj=}, {s0=}")
    if not math.log2(s0) + J * dj < MAX_LOG2:
        raise ValueError(f"largest of the scales, s0 2^(J dj), is too large: {s0=}, {J=}, {dj=}")
    return np.asarray(s0 * 2.0 ** (np.arange(J + 1) * dj))


def cone_of_influence(n: int, dt: float, wavelet: Wavelet) -> NDArray[np.float64]:
    """Return the longest period free of edge effects at each sample; e-folding rule of TC98."""
    distance = n / 2 - np.abs(np.arange(n) - (n - 1) / 2)
    return np.asarray(wavelet.fourier_factor / wavelet.efolding * dt * distance)


def gap_mask(missing: Bools, scales: Floats, dt: float, wavelet: Wavelet, step: int = 1) -> Bools:
    """Return where, every `step` samples, one is missing nearer than the e-folding time."""
    n = missing.shape[-1]
    mask = np.zeros((*missing.shape[:-1], len(scales), -(-n // step)), np.bool_)
    if not missing.any():
        return mask
    index = np.arange(n)
    before = np.maximum.accumulate(np.where(missing, index, -(10**12)), axis=-1)
    flipped = np.where(missing, index, 10**12)[..., ::-1]
    after = np.minimum.accumulate(flipped, axis=-1)[..., ::-1]
    distance = np.minimum(index - before, after - index)[..., None, ::step]
    np.less(distance * dt, wavelet.efolding * scales[:, None], out=mask)
    return mask
