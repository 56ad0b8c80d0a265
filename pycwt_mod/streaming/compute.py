"""From a window of samples to blocks of results: a pure function.

The window is laid into a buffer of tile and margins, and missing samples are replaced by the
mean of the valid ones. Rows come from `pycwt_mod.engine.filter_bank` at the octave's step, with
tables that all blocks of one octave share. What a missing sample may have touched is masked, and
so is what is out of the range of the window's dtype; the rest equals the offline transform.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import (
    Bools,
    Complexes,
    Convention,
    Floats,
    check_convention,
    plain_array,
    read_only,
    unit_scaled,
)
from pycwt_mod.conditioning import multiple_coherence, pairs_of, partial_coherence
from pycwt_mod.engine.filter_bank import FilterBank, fast_length
from pycwt_mod.engine.flat_stretches import (
    Radii,
    flat_stretches,
    hop_of,
    least_stretch,
    may_be_flat,
    radii_of,
)
from pycwt_mod.engine.layout import (
    COHERENCES,
    BlockOp,
    OctaveLayout,
    VoiceGrid,
    check_op,
    grid_boxcar,
    support_radius,
)
from pycwt_mod.smoothing import CircularSmoother, gaussian_filter, powers, squared_coherence
from pycwt_mod.streaming.block import Block

Quantity: TypeAlias = Literal["complex", "power", "amplitude", "phase", "coherence"]

#: Columns of a window, one tuple per channel or pair.
Sets: TypeAlias = Sequence[tuple[int, ...]]

#: Largest exponent of two for which double precision has the power and its reciprocal.
MAX_EXPONENT = 1000

_SAFE = nullcontext()

#: What each operation can publish.
QUANTITIES: dict[BlockOp, tuple[Quantity, ...]] = {
    "cwt": ("complex", "power", "amplitude", "phase"),
    "xwt": ("complex", "power", "amplitude", "phase"),
    "wct": ("coherence",),
    "pwct": ("coherence",),
    "mwct": ("coherence",),
}
#: Channels of a set, at least; partial and multiple coherence take more.
_LEAST: dict[BlockOp, int] = {"cwt": 1, "xwt": 2, "wct": 2, "pwct": 3, "mwct": 2}


def compute_block(
    window: NDArray[Any],
    *,
    window_first: int,
    tile_first: int,
    grid: VoiceGrid,
    layout: OctaveLayout,
    op: BlockOp,
    quantity: Quantity,
    convention: Convention,
) -> Block:
    """Return the block whose outputs are at ``tile_first + step * i`` for i < tile/step.

    Parameters
    ----------
    window : ndarray, shape (samples, channels), float32 or float64
        NaN, infinite and masked values are missing, and so is everything outside the window. One
        channel for "cwt", two for "xwt" and "wct". For "pwct" the pair and then the given channels,
        for "mwct" the target and then the given channels.
    window_first : int
        Sample index of the first row of `window`.
    tile_first : int
        Sample index of the first output. For outputs that join on, a multiple of the tile.
    grid, layout
        The analysis, and one of its `octave_layouts` for the same `op` and `convention`.
    op : {"cwt", "xwt", "wct", "pwct", "mwct"}
    quantity : {"complex", "power", "amplitude", "phase", "coherence"}
        "power" is |W|², or |W1 W2*| for "xwt"; "amplitude" is its root. Coherences have
        "coherence".
    convention : {"standard", "pycwt"}
        A constant offset is removed in both; pycwt's offline `cwt` keeps it, so that with a
        large one the steps at the ends of its record are felt far beyond the mask.

    Returns
    -------
    Block
        In units of the signals (their product for "xwt"); no standard deviation is divided out.
        Values that are out of the range of the window's dtype are 0 and masked.

    Raises
    ------
    ValueError
        If the window has the wrong shape or type, or `op` can't give `quantity`.
    """
    check_op(op)
    channels = tuple(range(_LEAST[op]))
    if op in ("pwct", "mwct") and window.ndim == 2:
        channels = tuple(range(max(_LEAST[op], window.shape[1])))
    if window.ndim != 2 or window.shape[1] != len(channels):
        raise ValueError(f"window has shape {window.shape}, but must be (samples, {len(channels)})")
    (block,) = compute_blocks(
        window, (channels,), window_first=window_first, tile_first=tile_first, grid=grid,
        layout=layout, op=op, quantity=quantity, convention=convention,
    )  # fmt: skip
    return block


def compute_blocks(
    window: NDArray[Any],
    sets: Sets,
    *,
    window_first: int,
    tile_first: int,
    grid: VoiceGrid,
    layout: OctaveLayout,
    op: BlockOp,
    quantity: Quantity,
    convention: Convention,
) -> tuple[Block, ...]:
    """Return the blocks of many channels or pairs of one window, in one batch of transforms.

    Each one is what `compute_block` gives of its own columns.

    Parameters
    ----------
    window : ndarray, shape (samples, channels), float32 or float64
    sets : sequence of tuple of int
        Columns of `window` as `compute_block` takes them; a column may be in many sets.
    window_first, tile_first, grid, layout, op, quantity, convention
        As for `compute_block`.

    Raises
    ------
    ValueError
        If the window has the wrong shape or type, a set names other columns than there are, or
        `op` can't give `quantity`.
    """
    if isinstance(window, np.ma.MaskedArray):
        window = plain_array("window", window)
    check_window(window, sets, op, quantity, convention)
    kind = window.dtype
    # A transform rounds by its largest values, so single precision hides rows of little power, of
    # which a coherence is made as of any other.
    computed = np.dtype(np.float64) if op in COHERENCES else kind
    shared = octave_kernel(grid, layout, op, convention, computed.char)
    valid, stretches = None, None
    energy = energy_of(window)
    if not (safe := energy < shared.most_energy):  # as of every window with NaN
        stretches = flat_stretches(window.T, shared.least_flat)
        valid = np.isfinite(window)
        window = np.where(valid, window, 0)
        safe = energy_of(window) < shared.most_energy
    elif may_be_flat(window[:: shared.hop], energy):
        stretches = flat_stretches(window.T, shared.least_flat)
    # What overflows is masked below.
    with _SAFE if safe else np.errstate(over="ignore", invalid="ignore"):
        signal, missing = filled_buffer(
            window, valid, window_first, tile_first - layout.margin, layout, computed
        )
        results = list(_results(shared.waves(signal), sets, shared, op, quantity, kind, safe))
    flats = None
    if stretches is not None:
        at = tile_first - window_first
        flats = stretches.mask(shared.radii, shared.whole.shape[1], layout.step, at)
    masks: dict[bytes, NDArray[np.uint8]] = {}
    blocks = []
    for names, (values, phase) in zip(sets, results, strict=True):
        mask = shared.whole
        if missing is not None:
            gaps: Bools = np.logical_or.reduce(missing[list(names)])
            key = gaps.tobytes()
            if key not in masks:
                masks[key] = read_only(block_mask(gaps, grid, layout, op, convention))
            mask = masks[key]
        if flats is not None:
            values, phase, mask = _masked_where_flat(flats[list(names)], op, values, phase, mask)
        if not safe or op in ("pwct", "mwct"):  # NaN where the matrix is singular
            values, phase, mask = _masked_where_not_finite(values, phase, mask)
        blocks.append(
            Block(
                freqs_hz=shared.freqs_hz, scales_s=shared.scales_s,
                values=values, phase=phase, mask=mask,
            )
        )  # fmt: skip
    return tuple(blocks)


def check_window(
    window: NDArray[Any], sets: Sets, op: BlockOp, quantity: Quantity, convention: Convention
) -> None:
    """Raise ValueError unless `sets` of columns of a window have a quantity of an operation."""
    check_op(op)
    check_convention(convention)
    if quantity not in QUANTITIES[op]:
        raise ValueError(f"{quantity=} must be one of {QUANTITIES[op]} for {op=}")
    if window.ndim != 2:
        raise ValueError(f"window has shape {window.shape}, but must be (samples, channels)")
    if window.dtype not in (np.float32, np.float64):
        raise ValueError(f"window has dtype {window.dtype}, but must be float32 or float64")
    size, more = _LEAST[op], op in ("pwct", "mwct")
    for names in sets:
        fits = len(names) == size or (more and len(names) > size)
        if not fits or not all(0 <= column < window.shape[1] for column in names):
            least = f"{size} or more" if more else str(size)
            raise ValueError(f"set {names} must be {least} of the {window.shape[1]} columns")


def energy_of(samples: Floats) -> float:
    """Return the sum of squares; infinite or NaN where it is out of range, or a sample is."""
    # Unlike numpy.dot, vdot does not warn of an overflow.
    return float(np.vdot(samples, samples))


def filled_buffer(
    window: NDArray[Any],
    valid: Bools | None,
    window_first: int,
    buffer_first: int,
    layout: OctaveLayout,
    dtype: np.dtype[Any],
) -> tuple[Floats, Bools | None]:
    """Return tile and margins with missing samples filled, their mean removed; and the gaps.

    Both have shape (channels, tile + 2 margins), the samples `dtype`; None: there are no gaps.
    Samples of the window are 0 where they are not `valid`; None: all are.
    """
    size = layout.tile + 2 * layout.margin
    low = max(window_first, buffer_first)
    high = min(window_first + len(window), buffer_first + size)
    rows = slice(low - window_first, max(high, low) - window_first)
    part = np.ascontiguousarray(window[rows].T)
    # The mean is removed before rounding to single precision: counts may have a large offset.
    if valid is None and part.shape[1] == size:
        total = part.sum(axis=1, dtype=np.float64, keepdims=True)
        return np.subtract(part, total / size, dtype=np.float64).astype(dtype, copy=False), None
    inside = np.ones(part.shape, np.bool_) if valid is None else np.ascontiguousarray(valid[rows].T)
    mean = _mean(part, np.maximum(inside.sum(axis=1, keepdims=True), 1))
    filled = np.zeros((window.shape[1], size), dtype)
    missing = np.ones(filled.shape, np.bool_)
    if high > low:
        here = slice(low - buffer_first, high - buffer_first)
        filled[:, here] = np.where(inside, part - mean, 0)
        missing[:, here] = ~inside
    return filled, missing


def _mean(values: Floats, count: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the sum of each channel divided by its `count`, also where the sum would overflow."""
    total = values.sum(axis=1, dtype=np.float64, keepdims=True)
    if np.isfinite(total).all():
        return np.asarray(total / count)
    scaled, exponent = unit_scaled(values)
    return np.asarray(np.ldexp(scaled.sum(axis=1, keepdims=True) / count, exponent))


def _results(
    waves: Complexes,
    sets: Sets,
    shared: OctaveKernel,
    op: BlockOp,
    quantity: Quantity,
    kind: np.dtype[Any],
    safe: bool,
) -> Iterator[tuple[NDArray[Any], NDArray[Any] | None]]:
    """Return values and phase of every set; `kind` is the samples' dtype.

    Unless it is `safe` that nothing overflows, one of them is not finite where either is wrong.
    """
    if op == "wct":
        return _coherence(waves, sets, shared, kind)
    if op in COHERENCES:
        return _joint_coherence(waves, sets, shared, op, kind)
    return (_single if op == "cwt" else _cross)(waves[:, :, shared.columns], sets, quantity, safe)


def _single(
    waves: Complexes, sets: Sets, quantity: Quantity, safe: bool
) -> Iterator[tuple[NDArray[Any], None]]:
    for (channel,) in sets:
        coefs = waves[channel] if safe else _nan_if_infinite(waves[channel])
        yield _quantity(coefs, "cwt", quantity), None


def _cross(
    waves: Complexes, sets: Sets, quantity: Quantity, safe: bool
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    for one, other in sets:
        product = _product(waves, (one, other))
        coefs = product if safe else _nan_if_infinite(product)
        yield _quantity(coefs, "xwt", quantity), np.angle(coefs)


def _coherence(
    waves: Complexes, sets: Sets, shared: OctaveKernel, kind: np.dtype[Any]
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield R² and phase as `kind`, from double precision.

    Each channel's own spectrum is smoothed once, however many pairs there are.
    """
    waves = _unit_scaled(waves)
    auto = shared.smoothed(powers(waves))
    for one, other in sets:
        cross = shared.smoothed(_product(waves, (one, other)))
        r2 = squared_coherence((auto[one], auto[other]), cross.real, cross.imag)
        yield r2.astype(kind, copy=False), np.angle(cross).astype(kind, copy=False)


def _joint_coherence(
    waves: Complexes, sets: Sets, shared: OctaveKernel, op: BlockOp, kind: np.dtype[Any]
) -> Iterator[tuple[NDArray[Any], NDArray[Any] | None]]:
    """Yield partial coherence and its phase, or multiple coherence; NaN for singular matrices.

    Each spectrum is smoothed once, however many sets it is in.
    """
    waves = _unit_scaled(waves)
    auto = shared.smoothed(powers(waves))
    smoothed: dict[tuple[int, int], Complexes] = {}

    def cross(i: int, j: int) -> Complexes:
        if (j, i) in smoothed:
            return np.conj(smoothed[j, i])
        if (i, j) not in smoothed:
            smoothed[i, j] = shared.smoothed(_product(waves, (i, j)))
        return smoothed[i, j]

    for names in sets:
        power = auto[list(names)]
        products = np.stack([cross(names[i], names[j]) for i, j in pairs_of(len(names))])
        phase = None
        if op == "pwct":
            r2, left, singular = partial_coherence(power, products)
            phase = np.angle(left).astype(kind, copy=False)
        else:
            r2, singular = multiple_coherence(power, products)
        yield np.where(singular, np.nan, r2).astype(kind, copy=False), phase


def _unit_scaled(waves: Complexes) -> Complexes:
    """Return W as complex128, each channel divided by a power of two near its largest magnitude.

    That rounds nothing, and coherence and phase do not depend on it. Without it, products of
    small values (a magnetic field in tesla) could underflow.
    """
    largest = np.abs(waves.view(waves.real.dtype)).max(axis=(1, 2))
    exponent = np.clip(np.frexp(largest)[1], -MAX_EXPONENT, MAX_EXPONENT)
    factor = np.ldexp(1.0, -exponent)[:, None, None]
    scaled: Complexes = np.multiply(waves, factor, dtype=np.complex128)
    return scaled


def _nan_if_infinite(coefs: Complexes) -> Complexes:
    """Return the coefficients with NaN for infinite ones, whose phase would look like a number."""
    return np.where(np.isfinite(coefs), coefs, coefs.dtype.type(np.nan))


def _masked_where_not_finite(
    values: NDArray[Any], phase: NDArray[Any] | None, mask: NDArray[np.uint8]
) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[np.uint8]]:
    """Return values and phase with 0 where either is not finite, and the mask with 1 there."""
    finite = np.isfinite(values)
    if phase is not None:
        finite &= np.isfinite(phase)
        phase = np.where(finite, phase, phase.dtype.type(0))
    values = np.where(finite, values, values.dtype.type(0))
    return values, phase, read_only(mask | ~finite)


def _masked_where_flat(
    flats: Bools,
    op: BlockOp,
    values: NDArray[Any],
    phase: NDArray[Any] | None,
    mask: NDArray[np.uint8],
) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[np.uint8]]:
    """Return the mask with 1 where a channel is flat; coherence and its phase are 0 there."""
    flat: Bools = np.logical_or.reduce(flats)
    if op in COHERENCES:
        values = np.where(flat, values.dtype.type(0), values)
        phase = None if phase is None else np.where(flat, phase.dtype.type(0), phase)
    return values, phase, read_only(mask | flat)


def _product(waves: Complexes, names: tuple[int, ...]) -> Complexes:
    product: Complexes = waves[names[0]] * np.conj(waves[names[1]])
    return product


def _quantity(coefs: Complexes, op: BlockOp, quantity: Quantity) -> NDArray[Any]:
    if quantity == "complex":
        return np.ascontiguousarray(coefs)
    if quantity == "phase":
        return np.angle(coefs)
    if op == "cwt" and quantity == "power":
        power: Floats = coefs.real**2 + coefs.imag**2
        return power
    size: Floats = np.abs(coefs)
    return np.sqrt(size) if op == "xwt" and quantity == "amplitude" else size


@dataclass(frozen=True, kw_only=True, eq=False)
class OctaveKernel:
    """The axes, filters and smoothing of one octave, for one precision.

    Attributes
    ----------
    freqs_hz, scales_s : ndarray, shape (k,)
    filters : FilterBank
    columns : slice
        Those of the filters' rows that lie in the tile.
    smoother : CircularSmoother or None
        For coherence, in double precision.
    whole : ndarray of uint8, shape (k, n)
        The mask of a block without gaps.
    most_energy : float
        With less than this sum of squares of the samples, no coefficient overflows, and no
        product of two. A sum that is not known, for NaN, is not less.
    radii : ndarray of int, shape (k,)
        How far the support of each row reaches, in samples.
    least_flat : int
        Samples of the shortest flat stretch in which a row has a flat value.
    hop : int
        Distance of samples of which such a stretch has two.
    """

    freqs_hz: NDArray[np.float64]
    scales_s: NDArray[np.float64]
    filters: FilterBank
    columns: slice
    smoother: CircularSmoother | None
    whole: NDArray[np.uint8]
    most_energy: float
    radii: Radii
    least_flat: int
    hop: int

    def waves(self, channels: Floats) -> Complexes:
        """Return the rows of all channels, shape (channels, rows, columns)."""
        spectrum = scipy.fft.rfft(channels, self.filters.length, axis=-1)
        return self.filters.samples(self.filters.band(spectrum))

    def smoothed(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return S(rows) of the published voices over the tile; shape (..., k, n)."""
        if self.smoother is None:
            raise ValueError("only coherence is smoothed")
        return self.smoother.smooth(rows, self.columns)


@lru_cache(maxsize=256)
def octave_kernel(
    grid: VoiceGrid, layout: OctaveLayout, op: BlockOp, convention: Convention, kind: str
) -> OctaveKernel:
    """Return the tables of this octave; `kind` is the samples' dtype, as one character."""
    dtype = np.dtype(kind)
    scales = grid.scales_s[layout.rows] * grid.fs_hz
    length = fast_length(layout.tile + 2 * layout.margin, layout.step)
    filters = FilterBank.one_sided(grid.wavelet, scales, length, layout.step, dtype=dtype)
    smoother = None
    if op in COHERENCES:
        filters = filters.per_root_scale(scales)
        gauss = gaussian_filter(scales, length // layout.step, layout.step)
        start = layout.rows.start
        keep = slice(layout.voices.start - start, layout.voices.stop - start)
        boxcar = grid_boxcar(grid, op, convention)
        smoother = CircularSmoother(gauss, boxcar, keep, boxcar.matrix(len(scales), keep))
    first, n = layout.margin // layout.step, layout.tile // layout.step
    n_voices = layout.voices.stop - layout.voices.start
    radii = support_radii(grid, layout, op, convention)
    return OctaveKernel(
        freqs_hz=read_only(grid.freqs_hz[layout.voices]),
        scales_s=read_only(grid.scales_s[layout.voices]),
        filters=filters, columns=slice(first, first + n), smoother=smoother,
        whole=read_only(np.zeros((n_voices, n), np.uint8)), most_energy=_most_energy(filters),
        radii=radii, least_flat=least_stretch(radii), hop=hop_of(least_stretch(radii)),
    )  # fmt: skip


def _most_energy(filters: FilterBank) -> float:
    """Return the sum of squares of the samples below which |W|² fits the filters' dtype.

    By Cauchy and Schwarz no bin of the spectrum exceeds √(M Σx²), and what is computed of it
    stays below that times the sum over a row's filter, or times 1. The factor 4 is for the sum of
    two squares, and for rounding.
    """
    gain = max(1.0, float(np.abs(filters.table).sum(axis=1, dtype=np.float64).max()))
    return float(np.finfo(filters.table.dtype).max) / (4 * filters.length * gain**2)


def support_radii(
    grid: VoiceGrid, layout: OctaveLayout, op: BlockOp, convention: Convention
) -> Radii:
    """Return how far the support of each published voice reaches, in samples.

    For coherence it is that of the largest scale that the voice is smoothed over.
    """
    boxcar = grid_boxcar(grid, op, convention)
    largest = np.arange(layout.voices.start, layout.voices.stop) + boxcar.last
    scales = grid.scales_s[np.minimum(largest, grid.n_voices - 1)] * grid.fs_hz
    return radii_of(support_radius(grid.wavelet, op, layout.rtol), scales)


def block_mask(
    missing: Bools, grid: VoiceGrid, layout: OctaveLayout, op: BlockOp, convention: Convention
) -> NDArray[np.uint8]:
    """Return where a gap is within the radius of the row, or of its largest neighbour."""
    n_out = layout.tile // layout.step
    n_voices = layout.voices.stop - layout.voices.start
    if not missing.any():
        return np.zeros((n_voices, n_out), np.uint8)
    radius = support_radii(grid, layout, op, convention)
    gaps_before = np.concatenate([[0], np.cumsum(missing)])
    centre = layout.margin + np.arange(n_out) * layout.step
    low = np.maximum(centre - radius[:, None], 0)
    high = np.minimum(centre + radius[:, None] + 1, len(missing))
    near: Bools = gaps_before[high] > gaps_before[low]
    return near.astype(np.uint8)
