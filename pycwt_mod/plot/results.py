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

    from pycwt_mod.results import CwtResult, WctResult, XwtResult


def draw_power(
    result: CwtResult,
    times: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    **options: Unpack[Options],
) -> Axes:
    """Draw |W|²; see `pycwt_mod.CwtResult.plot`."""
    power = np.abs(_single(result.coefs)) ** 2
    where, times, chosen = _prepared(result, times, ax, options)
    plot_scalogram(where, times, result.freqs, power, **chosen)
    return where


def draw_cross(
    result: XwtResult,
    times: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    **options: Unpack[Options],
) -> Axes:
    """Draw |W1 W2*| and the phase; see `pycwt_mod.XwtResult.plot`."""
    cross = _single(result.cross)
    where, times, chosen = _prepared(result, times, ax, _levelled(options, result.signif, cross))
    plot_cross(where, times, result.freqs, cross, **chosen)
    return where


def draw_coherence(
    result: WctResult,
    times: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    **options: Unpack[Options],
) -> Axes:
    """Draw R² and the phase; see `pycwt_mod.WctResult.plot`."""
    r2 = _single(result.coherence)
    where, times, chosen = _prepared(result, times, ax, _levelled(options, result.signif, r2))
    plot_coherence(where, times, result.freqs, r2, phase=result.phase, **chosen)
    return where


def _single(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim != 2:
        raise ValueError(
            f"cannot draw a batch of shape {values.shape}: transform one series, or draw one of "
            "them with the functions of pycwt_mod.plot"
        )
    return values


def _levelled(options: Options, signif: ArrayLike, values: NDArray[Any]) -> Options:
    """Return the options with the level of a result, if it has one and no other is given."""
    level = np.asarray(signif)
    if level.shape != values.shape[:1] or "signif" in options:
        return options
    return {**options, "signif": level}


def _prepared(
    result: CwtResult | XwtResult | WctResult,
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
    defaults: Options = {
        "coi_hz": 1 / result.coi,
        "mask": result.mask,
        "period_axis": True,
        "time_unit": unit,
    }
    return _axes() if ax is None else ax, times, {**defaults, **options}


def _axes() -> Axes:
    # Imported on first use: pyplot chooses a backend, which callers with axes don't need.
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]
