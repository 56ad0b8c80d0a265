"""Pictures of the results of `cwt`, `xwt` and `wct`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.plot.canvas import Options
from pycwt_mod.plot.pictures import plot_coherence, plot_cross, plot_scalogram
from pycwt_mod.plot.times import TimeAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pycwt_mod.engine.octaves import MultirateResult, Octave
    from pycwt_mod.results import CwtResult, MwctResult, WctResult, XwtResult

#: More columns than a picture has pixels.
MAX_COLUMNS = 4000


def draw_power(
    result: CwtResult,
    times: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    **options: Unpack[Options],
) -> Axes:
    """Draw |W|²; see `pycwt_mod.CwtResult.plot`."""
    power = np.abs(_single(result.coefs)) ** 2
    where, times, chosen = _prepared(result, times, ax, {"mask": result.mask, **options})
    plot_scalogram(where, times, result.freqs, power, **chosen)
    return where


def draw_octaves(
    result: MultirateResult,
    times: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    **options: Unpack[Options],
) -> Axes:
    """Draw |W|² of a transform by octaves; see `pycwt_mod.MultirateResult.plot`."""
    edges = np.linspace(0, result.n, min(result.n, MAX_COLUMNS) + 1).astype(np.intp)
    columns = [_columns(octave, edges) for octave in result.octaves]
    order = np.argsort(np.concatenate([octave.scales for octave in result.octaves]))
    power, mask = (np.concatenate(each)[order] for each in zip(*columns, strict=True))
    freqs = np.concatenate([octave.freqs for octave in result.octaves])[order]
    middle = (edges[:-1] + edges[1:] - 1) // 2
    where, times, chosen = _prepared(result, times, ax, {"mask": mask, **options})
    shown: Options = {**chosen, "coi_hz": 1 / result.coi[middle]}
    plot_scalogram(where, np.asarray(times)[middle], freqs, power, **shown)
    return where


def _columns(octave: Octave, edges: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the mean power between each two `edges`, and where some of it is masked."""
    power = np.abs(_single(octave.coefs)) ** 2
    starts = np.minimum(edges[:-1] // octave.step, power.shape[-1] - 1)
    counts = np.maximum(np.diff(starts, append=power.shape[-1]), 1)
    means = np.add.reduceat(power, starts, axis=-1) / counts
    return means, np.logical_or.reduceat(octave.mask, starts, axis=-1)


def draw_cross(
    result: XwtResult,
    times: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    **options: Unpack[Options],
) -> Axes:
    """Draw |W1 W2*| and the phase; see `pycwt_mod.XwtResult.plot`."""
    cross = _single(result.cross)
    arguments = _levelled({"mask": result.mask, **options}, result.signif, cross)
    where, times, chosen = _prepared(result, times, ax, arguments)
    plot_cross(where, times, result.freqs, cross, **chosen)
    return where


def draw_coherence(
    result: WctResult | MwctResult,
    times: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    **options: Unpack[Options],
) -> Axes:
    """Draw R², and the phase if there is one; see `pycwt_mod.WctResult.plot`."""
    r2 = _single(result.coherence)
    arguments = _levelled({"mask": result.mask, **options}, result.signif, r2)
    where, times, chosen = _prepared(result, times, ax, arguments)
    phase = getattr(result, "phase", None)  # multiple coherence has none
    plot_coherence(where, times, result.freqs, r2, phase=phase, **chosen)
    return where


def _single(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim != 2:
        raise ValueError(
            f"cannot draw a batch of shape {values.shape}: transform one series, or draw one of "
            "them with the functions of pycwt_mod.plot"
        )
    return values


def _levelled(options: Options, signif: ArrayLike, values: NDArray[Any]) -> Options:
    """Return the options with the threshold of a result, if it has one and no other is given."""
    level = np.asarray(signif)
    if level.shape != values.shape[:1] or "signif" in options:
        return options
    return {**options, "signif": level}


def _prepared(
    result: CwtResult | XwtResult | WctResult | MwctResult | MultirateResult,
    times: ArrayLike | None,
    ax: Axes | None,
    options: Options,
) -> tuple[Axes, ArrayLike, Options]:
    """Return axes, times and options with the result's own where the caller gave none."""
    samples = result.coi.size
    if times is None:
        times = np.arange(samples) * (1.0 if result.dt is None else result.dt)
    elif np.shape(times) != (samples,):
        raise ValueError(
            f"cannot draw times of shape {np.shape(times)}: the result has {samples} samples; give "
            "one time per sample"
        )
    unit = "" if result.dt is None else TimeAxis.of(times).interval_unit(result.dt)
    defaults: Options = {"coi_hz": 1 / result.coi, "period_axis": True, "time_unit": unit}
    return _axes() if ax is None else ax, times, {**defaults, **options}


def _axes() -> Axes:
    # Imported on first use: pyplot chooses a backend, which callers with axes don't need.
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]
