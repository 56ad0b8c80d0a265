"""Pictures are drawn on the caller's axes, with everything that was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

from pycwt_mod import cwt, rednoise, wct
from pycwt_mod.plot import plot_coherence, plot_scalogram


def axes() -> tuple[FigureCanvasAgg, Axes]:
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    return FigureCanvasAgg(figure), figure.add_subplot()


def two_signals() -> tuple[Any, Any]:
    t = np.arange(600) * 0.1
    common = np.sin(2 * np.pi * t / 3)
    x, y = common + rednoise(600, 0.3, rng=1), np.roll(common, 7) + rednoise(600, 0.3, rng=2)
    return x, y


def test_coherence_has_mesh_contour_arrows_and_hatching() -> None:
    x, y = two_signals()
    x[250:260] = np.nan
    result = wct(x, y, 0.1, mc_count=20, rng=1)
    canvas, ax = axes()

    mesh = plot_coherence(
        ax,
        np.arange(600) * 0.1,
        result.freqs,
        result.coherence,
        phase=result.smoothed_phase,
        signif=np.asarray(result.signif),
        coi_hz=1 / result.coi,
        mask=result.mask,
    )
    canvas.draw()  # type: ignore[no-untyped-call]

    kinds = [type(artist) for artist in ax.get_children()]
    assert kinds.count(QuadMesh) == 1
    assert kinds.count(Quiver) == 1
    assert kinds.count(QuadContourSet) == 3  # the level twice, for its rim, and the gap
    assert mesh.get_clim() == (0, 1)
    assert [c.get_hatch() for c in ax.collections if c.get_hatch()] == ["///"]
    assert (ax.get_yscale(), ax.get_ylabel(), ax.get_xlabel()) == (
        "log",
        "Frequency (Hz)",
        "Time (s)",
    )
    assert len(ax.figure.axes) == 2


def test_arrows_point_right_where_signals_are_in_phase() -> None:
    canvas, ax = axes()
    ones = np.ones((20, 50))
    plot_coherence(ax, np.arange(50), np.geomspace(10, 1, 20), ones, phase=0 * ones)
    canvas.draw()  # type: ignore[no-untyped-call]
    (arrows,) = (artist for artist in ax.get_children() if isinstance(artist, Quiver))
    assert np.allclose(arrows.U, 1)
    assert np.allclose(arrows.V, 0)


def test_arrows_point_down_where_the_first_signal_leads() -> None:
    _, ax = axes()
    quarter = np.full((20, 50), np.pi / 2)
    plot_coherence(ax, np.arange(50), np.geomspace(10, 1, 20), np.ones((20, 50)), phase=quarter)
    (arrows,) = (artist for artist in ax.get_children() if isinstance(artist, Quiver))
    assert np.allclose(arrows.V, -1)


def test_scalogram_spans_forty_decibels_with_its_unit() -> None:
    x, _ = two_signals()
    result = cwt(x, 0.1)
    canvas, ax = axes()
    mesh = plot_scalogram(
        ax, np.arange(600) * 0.1, result.freqs, np.abs(result.coefs) ** 2,
        coi_hz=1 / result.coi, signif=np.full(len(result.freqs), 6.0), unit="mV",
    )  # fmt: skip
    canvas.draw()  # type: ignore[no-untyped-call]
    assert mesh.get_clim() == (-40, 0)
    assert "mV²" in ax.figure.axes[1].get_ylabel()


def test_shapes_that_do_not_match_are_refused() -> None:
    _, ax = axes()
    with pytest.raises(ValueError, match=r"coherence.*\(2, 3\).*\(3, 2\)"):
        plot_coherence(ax, [0, 1], [1, 2, 3], np.ones((2, 3)))
