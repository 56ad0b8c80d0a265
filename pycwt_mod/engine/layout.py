"""The frequencies of a live analysis, and the layout of its octaves: rows, steps and windows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Convention, check_convention, check_count, check_level, check_positive
from pycwt_mod.engine.filter_bank import coherence_bandwidth, power_of_two_below, smoothed_radius
from pycwt_mod.smoothing import ScaleBoxcar
from pycwt_mod.wavelets import Wavelet, WaveletLike, as_wavelet

#: A row whose band is cut at Nyquist (or at zero) rings on; at this part of the wavelet's
#: maximum the ringing stays within the tolerance of blocks.
EDGE_TOL = 1e-5


def highest_freq_hz(fs_hz: float, wavelet: WaveletLike) -> float:
    """Return the highest frequency whose band ends below Nyquist; 0.28 `fs_hz` for Morlet 6.

    Above it, the transform rings for as long as the record, so a block, which is computed from a
    part of it, cannot equal the offline transform.
    """
    mother = as_wavelet(wavelet)
    top = mother.frequency_band(EDGE_TOL)[1]
    return math.pi * fs_hz / (top * mother.fourier_factor)


@dataclass(frozen=True, kw_only=True)
class VoiceGrid:
    """The frequencies of a live analysis, f_j = fmax 2^(-j/V) down to fmin, grouped in octaves.

    Attributes
    ----------
    fs_hz : float
        Sampling rate.
    fmin_hz, fmax_hz : float
        Lowest and highest frequency; `fmax_hz` at most `highest_freq_hz`.
    voices_per_octave : int
        V.
    wavelet : Wavelet
        Kept as it is when the grid is made; a later assignment to its parameters has no effect.

    Raises
    ------
    ValueError
        If a value is out of range, or the wavelet has a mean that isn't negligible.

    Examples
    --------
    >>> from pycwt_mod import Morlet
    >>> grid = VoiceGrid(
    ...     fs_hz=100, fmin_hz=1, fmax_hz=16, voices_per_octave=4, wavelet=Morlet()
    ... )
    >>> len(grid.freqs_hz), grid.n_octaves, grid.octave_slice(4)
    (17, 5, slice(16, 17, None))
    """

    fs_hz: float
    fmin_hz: float
    fmax_hz: float
    voices_per_octave: int
    wavelet: Wavelet

    def __post_init__(self) -> None:
        object.__setattr__(self, "wavelet", as_wavelet(self.wavelet))
        check_positive("fs_hz", self.fs_hz)
        check_positive("fmin_hz", self.fmin_hz)
        check_positive("fmax_hz", self.fmax_hz)
        check_count("voices_per_octave", self.voices_per_octave)
        if self.fmin_hz > self.fmax_hz:
            raise ValueError(f"fmin_hz={self.fmin_hz!r} must not exceed fmax_hz={self.fmax_hz!r}")
        highest = highest_freq_hz(self.fs_hz, self.wavelet)
        if self.fmax_hz > highest:
            raise ValueError(
                f"fmax_hz={self.fmax_hz!r} must be at most {highest:.6g} Hz "
                f"at fs_hz={self.fs_hz!r} with {self.wavelet!r}"
            )
        mean = float(np.abs(self.wavelet.psi_ft(0.0)))
        if mean > EDGE_TOL:
            raise ValueError(f"wavelet={self.wavelet!r} has a mean of {mean:.2g}, not near zero")

    @property
    def n_voices(self) -> int:
        """Number of frequencies."""
        octaves = math.log2(self.fmax_hz / self.fmin_hz)
        # fmax/fmin may fall short of a whole number of voices by rounding.
        return math.floor(octaves * self.voices_per_octave + 1e-9) + 1

    @property
    def freqs_hz(self) -> NDArray[np.float64]:
        """All frequencies, descending from `fmax_hz`; shape (voices,)."""
        return np.asarray(
            self.fmax_hz * 2.0 ** (-np.arange(self.n_voices) / self.voices_per_octave)
        )

    @property
    def scales_s(self) -> NDArray[np.float64]:
        """Their scales in seconds, ascending; shape (voices,)."""
        return np.asarray(1 / (self.wavelet.fourier_factor * self.freqs_hz))

    @property
    def n_octaves(self) -> int:
        """Number of octaves, a shorter last one included."""
        return math.ceil(self.n_voices / self.voices_per_octave)

    def octave_slice(self, k: int) -> slice:
        """Return the voices of octave `k`; the last octave may be shorter."""
        if not 0 <= k < self.n_octaves:
            raise ValueError(f"octave {k!r} must be from 0 to {self.n_octaves - 1}")
        first = k * self.voices_per_octave
        return slice(first, min(first + self.voices_per_octave, self.n_voices))


BlockOp: TypeAlias = Literal["cwt", "xwt", "wct", "pwct", "mwct"]
OPS: tuple[BlockOp, ...] = ("cwt", "xwt", "wct", "pwct", "mwct")
#: Operations on smoothed spectra.
COHERENCES: tuple[BlockOp, ...] = ("wct", "pwct", "mwct")

#: Radii, and the sampling of coherence, are chosen for a hundredth of the tolerance: where a signal
#: has little power in a row, truncation and aliasing come from stronger rows. The shipped recording
#: needs that much, with any of the wavelets.
RESERVE = 0.01

#: Largest error of a published value, as a part of the RMS of its row. It also decides how far the
#: support of a value reaches.
BLOCK_RTOL = 1e-5


@dataclass(frozen=True, kw_only=True)
class OctaveLayout:
    """The rows, the step and the windows of one octave of one analysis; integers in samples.

    Attributes
    ----------
    octave : int
        0 is the highest.
    voices : slice
        Rows that are published.
    rows : slice
        Rows that must be computed: for coherence also the neighbours of the scale boxcar.
    step : int
        D, a power of two: output sampling.
    tile : int
        Samples advanced per block, a multiple of `step`.
    margin : int
        Samples needed on either side of a tile for full support; a multiple of `step`.
    rtol : float
        Largest error, as a part of the RMS of a row.
    """

    octave: int
    voices: slice
    rows: slice
    step: int
    tile: int
    margin: int
    rtol: float = BLOCK_RTOL

    def __hash__(self) -> int:
        # Slices have no hash of their own in Python 3.11.
        bounds = (self.voices.start, self.voices.stop, self.rows.start, self.rows.stop)
        return hash((self.octave, bounds, self.step, self.tile, self.margin, self.rtol))


def check_op(op: str) -> None:
    """Raise ValueError unless `op` is one of `OPS`."""
    if op not in OPS:
        raise ValueError(f"{op=} must be one of {OPS}")


def grid_boxcar(grid: VoiceGrid, op: BlockOp, convention: Convention) -> ScaleBoxcar:
    """Return the boxcar over voices; a single row but for coherence."""
    if op not in COHERENCES:
        return ScaleBoxcar(0, (1.0,))
    return ScaleBoxcar.of(grid.wavelet.deltaj0, 1 / grid.voices_per_octave, convention)


def support_radius(wavelet: Wavelet, op: BlockOp, rtol: float) -> float:
    """Return the distance, at scale 1, beyond which a sample doesn't matter to a row.

    For coherence it is less than the sum of the radii of wavelet and filter, see
    `pycwt_mod.engine.filter_bank.smoothed_radius`.
    """
    tol = rtol * RESERVE
    return smoothed_radius(wavelet, tol) if op in COHERENCES else tail_radius(wavelet, tol)


@lru_cache(maxsize=64)
def tail_radius(wavelet: Wavelet, tol: float) -> float:
    """Return the larger of `time_radius` and the time beyond which `tol` of ∫|ψ| lies.

    The second one is what a step at the end of a window asks for. It only matters to wavelets
    that decay like a power of time (Paul).
    """
    radius = wavelet.time_radius(tol)
    time = np.concatenate([[0.0], np.geomspace(1e-3, 100 * radius, 20_000)])
    size = np.abs(wavelet.psi(time))
    area = np.concatenate([[0.0], np.cumsum(np.diff(time) * (size[1:] + size[:-1]) / 2)])
    inside = np.searchsorted(area, (1 - tol) * area[-1])
    return max(radius, float(time[inside]))


def sampling_bandwidth(wavelet: Wavelet, op: BlockOp, rtol: float) -> float:
    """Return 2π/D at scale 1: the width of what is published.

    For "cwt" that is the band of the coefficients, for "xwt" twice as much, since a product
    of two rows is twice as wide, for coherences what keeps aliases out of the smoothed spectra.
    """
    if op in COHERENCES:
        return coherence_bandwidth(wavelet, rtol * RESERVE)
    low, high = wavelet.frequency_band(rtol)
    width = high - (low if wavelet.analytic else -high)
    return width if op == "cwt" else 2 * width


def octave_layouts(
    grid: VoiceGrid,
    *,
    op: BlockOp,
    hop_s: float,
    convention: Convention,
    rtol: float = BLOCK_RTOL,
    every: int = 1,
) -> tuple[OctaveLayout, ...]:
    """Return the layouts of all octaves, highest first.

    Parameters
    ----------
    grid : VoiceGrid
    op : {"cwt", "xwt", "wct", "pwct", "mwct"}
    hop_s : float
        Time between blocks of the highest octave; it doubles with each octave.
    convention : {"standard", "pycwt"}
    rtol : float
        Largest error of a value that isn't masked, as a part of the row's RMS.
    every : int
        Tiles are a multiple of this number of steps, for blocks with a part of the columns.

    Returns
    -------
    tuple of OctaveLayout

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    check_op(op)
    check_convention(convention)
    check_positive("hop_s", hop_s)
    check_level("rtol", rtol)
    check_count("every", every)
    boxcar = grid_boxcar(grid, op, convention)
    scales = grid.scales_s * grid.fs_hz
    radius = support_radius(grid.wavelet, op, rtol)
    width = sampling_bandwidth(grid.wavelet, op, rtol)
    layouts = []
    for octave in range(grid.n_octaves):
        voices = grid.octave_slice(octave)
        low = max(0, voices.start + boxcar.first)
        high = min(grid.n_voices, voices.stop + boxcar.last)
        step = power_of_two_below(2 * math.pi * scales[low] / width)
        hop = hop_s * grid.fs_hz * 2**octave
        layouts.append(
            OctaveLayout(
                octave=octave,
                voices=voices,
                rows=slice(low, high),
                step=step,
                tile=max(1, math.ceil(hop / (step * every) - 1e-9)) * step * every,
                margin=math.ceil(radius * scales[high - 1] / step) * step,
                rtol=rtol,
            )
        )
    return tuple(layouts)
