"""Pictures as the papers have them: periods downwards, averages beside and below."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

from pycwt_mod.plot import (
    plot_coherence,
    plot_cross,
    plot_global_spectrum,
    plot_scale_average,
    plot_scalogram,
)

YEARS = np.arange(1900.0, 1950.0)
FREQS = 1 / np.geomspace(2.0, 32.0, 20)


def axes() -> tuple[FigureCanvasAgg, Axes]:
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    return FigureCanvasAgg(figure), figure.add_subplot()


def test_periods_run_downwards_in_octaves_and_carry_their_unit() -> None:
    canvas, ax = axes()
    plot_coherence(
        ax, YEARS, FREQS, np.ones((20, 50)), coi_hz=np.full(50, 1 / 10),
        period_axis=True, time_unit="years",
    )  # fmt: skip
    canvas.draw()  # type: ignore[no-untyped-call]
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert ax.get_ylim() == pytest.approx((32, 2))
    assert {"2", "4", "8", "16", "32"} <= set(labels)
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("Period (years)", "Time (years)")
    assert ax.lines[0].get_ydata() == pytest.approx(10)  # the edge of the cone


def test_frequencies_in_another_unit_say_so() -> None:
    _, ax = axes()
    plot_scalogram(ax, YEARS, FREQS, np.ones((20, 50)), time_unit="years", colour_bar=False)
    assert ax.get_ylabel() == "Frequency (1/years)"


def test_cross_power_has_arrows_where_it_is_significant() -> None:
    canvas, ax = axes()
    cross = np.full((20, 50), 1j)
    cross[:10] *= 4
    plot_cross(ax, YEARS, FREQS, cross, signif=np.full(20, 2.0), unit="K m")
    canvas.draw()  # type: ignore[no-untyped-call]
    (arrows,) = (artist for artist in ax.get_children() if isinstance(artist, Quiver))
    hidden = np.asarray(arrows.Umask).reshape(20, 50)
    assert not hidden[:10].any()
    assert hidden[10:].all()
    assert np.asarray(arrows.V)[0] == pytest.approx(-1)  # straight down: the first leads
    assert "K m" in ax.figure.axes[1].get_ylabel()


def test_global_spectrum_stands_upright_beside_the_scalogram() -> None:
    _, ax = axes()
    plot_global_spectrum(
        ax, FREQS, np.arange(20.0), signif=np.full(20, 3.0), unit="°C", period_axis=True
    )
    assert ax.lines[0].get_xdata() == pytest.approx(np.arange(20.0))
    assert ax.lines[0].get_ydata() == pytest.approx(1 / FREQS)
    assert len(ax.lines) == 2
    assert ax.get_xlabel() == "Mean power (°C²)"
    # A level that grows with the period must not squeeze the spectrum.
    assert ax.get_xlim() == pytest.approx((0, 1.5 * 19))


def test_scale_average_runs_along_time_with_its_level() -> None:
    _, ax = axes()
    plot_scale_average(ax, YEARS, np.ones(50), signif=0.5, unit="°C", time_unit="years")
    assert ax.get_xlim() == (1900, 1949)
    assert ax.get_ylabel() == "Variance (°C²)"
    assert len(ax.lines) == 2


def test_averages_of_another_shape_are_refused() -> None:
    _, ax = axes()
    with pytest.raises(ValueError, match=r"spectrum.*\(3,\).*\(20,\)"):
        plot_global_spectrum(ax, FREQS, np.ones(3))
    with pytest.raises(ValueError, match=r"variance.*\(3,\).*\(50,\)"):
        plot_scale_average(ax, YEARS, np.ones(3))
