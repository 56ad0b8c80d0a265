"""Times of pictures may be dates of any kind, and results draw themselves."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.dates import num2date
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

from cwt_runtime.installation import install_hint
from pycwt_mod import cwt, multirate, rednoise, wct, xwt
from pycwt_mod.plot import plot_coherence, plot_scale_average, plot_scalogram

N = 48
DAYS = pd.date_range("2020-01-01", periods=N)
MONTHS = pd.period_range("1950-01", periods=N, freq="M")
X, Y = rednoise(N, 0.5, rng=1), rednoise(N, 0.5, rng=2)

#: The same days in every type that holds dates.
DATES: dict[str, Any] = {
    "DatetimeIndex": DAYS,
    "DatetimeIndex with a zone": DAYS.tz_localize("UTC"),
    "datetime64[D]": np.arange("2020-01-01", "2020-02-18", dtype="datetime64[D]"),
    "datetime64[ns]": DAYS.to_numpy(),
    "list of datetime": [each.to_pydatetime() for each in DAYS],
    "list of date": [dt.date(2020, 1, 1) + dt.timedelta(days=k) for k in range(N)],
    "list of Timestamp": list(DAYS),
    "Series": pd.Series(DAYS),
    "PeriodIndex": pd.period_range("2020-01-01", periods=N, freq="D"),
    "DataArray": xr.DataArray(DAYS, dims="time"),
}


def axes() -> Axes:
    return Figure(figsize=(7, 3.5), layout="constrained").add_subplot()


def drawn(ax: Axes) -> list[str]:
    """Draw the picture and return the labels of the time axis."""
    FigureCanvasAgg(ax.get_figure(root=True)).draw()  # type: ignore[no-untyped-call]
    return [tick.get_text() for tick in ax.get_xticklabels()]


@pytest.mark.parametrize("kind", DATES)
def test_dates_of_every_kind_draw_a_date_axis(kind: str) -> None:
    ax = axes()
    mask = np.zeros((9, N))
    mask[:, 20] = 1

    plot_scalogram(
        ax, DATES[kind], np.geomspace(0.5, 0.1, 9), np.ones((9, N)), mask=mask,
        coi_hz=np.full(N, 0.2), time_unit="days", period_axis=True,
    )  # fmt: skip

    ends = [num2date(end).date() for end in ax.get_xlim()]  # type: ignore[no-untyped-call]
    assert ends == [dt.date(2020, 1, 1), dt.date(2020, 2, 17)]
    assert "Feb" in drawn(ax)
    assert ax.get_xlabel() in ("Time", "Time (UTC)")
    assert ax.get_ylabel() == "Period (days)"


def test_dates_in_another_zone_are_labelled_in_that_zone() -> None:
    ax = axes()
    hours = pd.date_range("2020-07-01", periods=N, freq="h", tz="Asia/Tokyo")
    plot_coherence(ax, hours, [0.2, 0.1], np.ones((2, N)))
    assert drawn(ax)[0] in ("00:00", "Jul-01")
    assert ax.get_xlabel() == "Time (Asia/Tokyo)"


def test_a_scale_average_over_dates_has_a_date_axis() -> None:
    ax = axes()
    plot_scale_average(ax, DAYS, np.ones(N), time_unit="days")
    assert "Feb" in drawn(ax)


def test_durations_are_drawn_in_the_unit_of_time() -> None:
    ax = axes()
    hours = pd.to_timedelta(np.arange(N), unit="h")
    plot_scalogram(ax, hours, [1.0, 0.5], np.ones((2, N)), time_unit="d")
    assert ax.get_xlim() == pytest.approx((0, (N - 1) / 24))


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        (["a", "b"], "cannot draw times such as .*'a'"),
        ([DAYS[0], pd.NaT], "some are missing"),
        ([0.0, np.nan], "some are missing"),
        (np.zeros((2, 2)), r"shape \(2, 2\)"),
        ([dt.timedelta(1), dt.timedelta(2)], "durations to time_unit='fortnights'"),
    ],
)
def test_times_that_cannot_be_drawn_are_named(times: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        plot_scalogram(axes(), times, [1.0], np.ones((1, 2)), time_unit="fortnights")


@pytest.mark.parametrize(
    ("times", "interval", "unit"),
    [
        (MONTHS, 1 / 12, "years"),
        (MONTHS, 1.0, "months"),
        (DAYS, 1.0, "days"),
        (DAYS, 24.0, "h"),
        (pd.date_range("2020", periods=N, freq="250ms"), 0.25, "s"),
        (pd.period_range("1900", periods=N, freq="Y"), 1.0, "years"),
        (DAYS, 0.37, ""),
    ],
)
def test_periods_are_labelled_in_the_unit_that_dates_and_dt_imply(
    times: Any, interval: float, unit: str
) -> None:
    ax = cwt(X, interval).plot(times, ax=axes())
    assert ax.get_ylabel() == (f"Period ({unit})" if unit else "Period")


RESULTS: dict[str, Callable[[], Any]] = {
    "cwt": lambda: cwt(X, 0.5),
    "xwt": lambda: xwt(X, Y, 0.5),
    "wct": lambda: wct(X, Y, 0.5, mc_count=4, rng=1),
    "wct without a level": lambda: wct(X, Y, 0.5, sig=False),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_draws_itself_over_multiples_of_dt(name: str) -> None:
    result = RESULTS[name]()
    ax = result.plot(ax=axes())
    drawn(ax)
    assert ax.get_xlim() == pytest.approx((0, (N - 1) * 0.5))
    assert ax.get_ylim() == pytest.approx((1 / result.freqs.min(), 1 / result.freqs.max()))
    assert [c.get_hatch() for c in ax.collections if c.get_hatch()] == ["///"]
    assert any(isinstance(artist, Quiver) for artist in ax.get_children()) == (name != "cwt")


def drawn_values(result: Any, *times: Any) -> Any:
    """Return what `result` draws in decibels, (rows, columns)."""
    (mesh,) = [c for c in result.plot(*times, ax=axes()).collections if isinstance(c, QuadMesh)]
    return np.asarray(mesh.get_array())


def test_a_transform_by_octaves_draws_what_cwt_draws() -> None:
    t = np.arange(3000) * 0.01
    tone = np.sin(2 * np.pi * 40 * t) * (t > 20)
    found, wanted = drawn_values(multirate(tone, 0.01)), drawn_values(cwt(tone, 0.01))
    assert found.shape == wanted.shape
    differences = np.abs(found - wanted)[wanted > -10]
    assert np.quantile(differences, 0.9) < 1  # of the sample before, where the power changes


def test_a_long_transform_is_drawn_in_as_many_columns_as_are_seen() -> None:
    x = np.zeros(200_000)
    x[150_000:] = np.random.default_rng(0).standard_normal(50_000)
    x[20_000:20_400] = np.nan
    times = np.datetime64("2020-01-01") + np.arange(len(x)) * np.timedelta64(1, "s")
    result = multirate(x, 1.0)
    drawn_power = drawn_values(result, times)
    assert drawn_power.shape == (len(result.scales), 4000)
    first = drawn_power[np.argmax(result.freqs)]
    assert first[:2900].max() < -20 < np.median(first[3100:])
    ax = result.plot(times, ax=axes())
    drawn(ax)
    assert ax.get_ylabel() == "Period (s)"
    assert ax.get_xlim()[1] == pytest.approx(18262 + len(x) / 86_400, abs=0.01)  # days


@pytest.mark.parametrize("times", [MONTHS, pd.period_range("1900", periods=N, freq="Y")])
def test_a_transform_by_octaves_has_dates_too(times: Any) -> None:
    drawn(multirate(X, 1.0).plot(times, ax=axes()))


def test_a_result_draws_itself_on_a_new_figure() -> None:
    with plt.rc_context({"backend": "agg"}):
        ax = cwt(X, 1.0).plot(period_axis=False, time_unit="s")
    assert ax.get_ylabel() == "Frequency (Hz)"
    plt.close("all")


def test_a_batch_is_not_drawn() -> None:
    with pytest.raises(ValueError, match=r"cannot draw a batch of shape \(2, \d+, 48\)"):
        cwt(np.stack([X, Y]), 1.0).plot(ax=axes())


def test_times_of_another_length_are_refused() -> None:
    # The message was about the shape of the power: "must be (57, 10)".
    with pytest.raises(ValueError, match=r"times of shape \(10,\): the result has 48 samples"):
        cwt(X, 1.0).plot(DAYS[:10], ax=axes())


def test_without_matplotlib_plot_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import pycwt_mod\n"
        "try: pycwt_mod.cwt([1, 2, 3, 5], 1).plot()\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(f"matplotlib is not installed; {install_hint('plot')}")
