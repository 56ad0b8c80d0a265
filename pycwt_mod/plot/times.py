"""Times of a picture: numbers, or dates in any of the types that Python's libraries have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Numbers = NDArray[np.float64]

#: Seconds in the units that a time unit may be named by.
UNIT_SECONDS = {
    "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "hours": 3600.0,
    "d": 86400.0, "days": 86400.0, "weeks": 604_800.0, "months": 2_629_746.0,
    "years": 31_556_952.0,
}  # fmt: skip
#: Names that `interval_unit` chooses from.
_COMMON_UNITS = ("ms", "s", "min", "h", "days", "weeks", "months", "years")
#: A month or a year of the calendar differs from the mean one by this part of it, and less over
#: several of them.
_UNIT_TOLERANCE = 0.03


@dataclass(frozen=True, kw_only=True, eq=False)
class TimeAxis:
    """The horizontal axis of a picture.

    Attributes
    ----------
    values : ndarray, shape (n,)
        Numbers, or for dates days since matplotlib's epoch.
    dated : bool
        Whether the axis shows dates.
    zone : tzinfo or None
        Time zone of the dates.
    """

    values: Numbers
    dated: bool = False
    zone: tzinfo | None = None

    @classmethod
    def of(cls, times: ArrayLike, time_unit: str = "s") -> TimeAxis:
        """Return the axis for `times`.

        Parameters
        ----------
        times : array_like, shape (n,)
            Numbers, or dates: datetime64, a DatetimeIndex, a PeriodIndex (each period counts by
            its start), or datetime or date objects. Durations (timedelta64, a TimedeltaIndex)
            are converted to `time_unit`.

        Raises
        ------
        ValueError
            If `times` are neither, not one-dimensional, or some are missing.
        """
        array = np.asarray(times)
        if array.ndim != 1 or not array.size:
            raise ValueError(f"cannot draw times of shape {array.shape}: give a list of them")
        if _is_missing(array).any():
            raise ValueError("cannot draw times: some are missing or infinite; give all of them")
        first = array[0]
        if hasattr(first, "to_timestamp"):  # pandas.Period
            array = np.array([each.to_timestamp() for each in array], dtype=object)
            first = array[0]
        if array.dtype.kind == "m" or isinstance(first, timedelta):
            axis = cls(values=_durations(array, time_unit))
        elif array.dtype.kind == "M" or isinstance(first, date):
            days = np.asarray(date2num(array), dtype=np.float64)  # type: ignore[no-untyped-call]
            axis = cls(values=days, dated=True, zone=getattr(first, "tzinfo", None))
        elif array.dtype.kind in "fiu":
            axis = cls(values=array.astype(np.float64))
        else:
            raise ValueError(
                f"cannot draw times such as {first!r}: give numbers, or dates as datetime64, "
                "datetime, DatetimeIndex or PeriodIndex"
            )
        return axis

    def interval_unit(self, dt: float) -> str:
        """Return the name of the unit in which these dates are `dt` apart; "" if there is none."""
        if not self.dated or self.values.size < 2:
            return ""
        step_days = (self.values[-1] - self.values[0]) / (self.values.size - 1)
        unit = step_days * UNIT_SECONDS["days"] / dt
        named = (name for name in _COMMON_UNITS if _is_close(unit, UNIT_SECONDS[name]))
        return next(named, "")

    def label(self, ax: Axes, time_unit: str) -> None:
        """Limit and name the horizontal axis."""
        ax.set_xlim(self.values[0], self.values[-1])
        if self.dated:
            locator = AutoDateLocator(tz=self.zone)  # type: ignore[no-untyped-call]
            formatter = ConciseDateFormatter(locator, tz=self.zone)  # type: ignore[no-untyped-call]
            ax.xaxis.set_major_locator(locator)
            ax.xaxis.set_major_formatter(formatter)
            ax.set_xlabel(with_unit("Time", "" if self.zone is None else str(self.zone)))
        else:
            ax.set_xlabel(with_unit("Time", time_unit))


def with_unit(quantity: str, unit: str) -> str:
    """Return a label such as ``Period (years)``."""
    return f"{quantity} ({unit})" if unit else quantity


def _is_missing(array: NDArray[Any]) -> NDArray[np.bool_]:
    if array.dtype.kind == "O":  # NaT and NaN differ from themselves
        return np.array([each is None or bool(each != each) for each in array])
    return ~np.isfinite(array) if array.dtype.kind in "fiumM" else np.zeros(array.shape, np.bool_)


def _is_close(seconds: float, unit: float) -> bool:
    return abs(seconds / unit - 1) < _UNIT_TOLERANCE


def _durations(array: NDArray[Any], time_unit: str) -> Numbers:
    if time_unit not in UNIT_SECONDS:
        names = ", ".join(UNIT_SECONDS)
        raise ValueError(f"cannot convert durations to {time_unit=}: give one of {names}")
    seconds = array.astype("timedelta64[ns]") / np.timedelta64(1, "s")
    return np.asarray(seconds / UNIT_SECONDS[time_unit], dtype=np.float64)
