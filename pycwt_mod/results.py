"""What the transforms return: tuples in pycwt's order, with the rest as attributes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    NamedTuple,
    Self,
    Unpack,
)

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import (
    Bools,
    Complexes,
    Convention,
    Floats,
    Summarised,
    mean,
    percentage,
    span,
)
from pycwt_mod.rednoise import Lag1
from pycwt_mod.wavelets import Wavelet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pycwt_mod.plot.canvas import Options


class _Attributed(Summarised):
    """A named tuple that has attributes as well; copies of every kind keep them."""

    _fields: ClassVar[tuple[str, ...]]

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:
        return cls(*iterable)

    @classmethod
    def _rebuilt(cls, fields: Iterable[Any], attributes: dict[str, Any]) -> Self:
        result: Self = tuple.__new__(cls, fields)  # type: ignore[type-var]
        vars(result).update(attributes)
        return result

    def _replace(self, **changes: object) -> Self:
        """Return a copy with other values of some fields or attributes."""
        current = {name: getattr(self, name) for name in self._fields} | vars(self)
        if unknown := sorted(changes.keys() - current.keys()):
            names = ", ".join(current)
            raise TypeError(f"cannot replace {unknown}: {type(self).__name__} has {names}")
        current |= changes
        return self._rebuilt([current.pop(name) for name in self._fields], current)

    __replace__ = _replace  # copy.replace calls it

    def __reduce__(self) -> tuple[Any, ...]:
        fields = tuple(getattr(self, name) for name in self._fields)
        return self._rebuilt, (fields, vars(self))


@dataclass(frozen=True, kw_only=True, eq=False)
class Origin:
    """What a transform was computed from, and how: coherence of transforms needs it.

    Attributes
    ----------
    record : ndarray, shape (..., time)
        The signal, NaN where a sample is missing.
    wavelet : Wavelet
    convention : {"standard", "pycwt"}
    dj : float or None
        Spacing of the scales in octaves; None with frequencies of the caller's own.
    """

    record: Floats
    wavelet: Wavelet
    convention: Convention
    dj: float | None


class _CwtFields(NamedTuple):
    coefs: Complexes
    scales: Floats
    freqs: Floats
    coi: Floats
    fft: Complexes
    fftfreqs: Floats


class CwtResult(_Attributed, _CwtFields):  # type: ignore[misc]
    """What `cwt` returns; it unpacks as pycwt's six values.

    Attributes
    ----------
    coefs : ndarray, shape (..., scales, time), complex
        Always finite; see `mask`.
    scales, freqs : ndarray, shape (scales,)
        In units of `dt` and 1/`dt`.
    coi : ndarray, shape (time,)
        Longest Fourier period free of edge effects.
    fft, fftfreqs : ndarray
        Spectrum of the padded signal over √n, without mean and Nyquist, and its frequencies.
        For white noise the mean of |fft|² is the variance, as it is for the wavelet power.
        pycwt's convention divides by the root of the padded length instead.
    mask : ndarray of bool, shape (..., scales, time)
        True where more of a value's energy is missing than `mask_threshold` of `cwt` allows, and
        where all samples within its support are equal but for rounding, as of a disconnected
        electrode. The ends of the record do not count: `coi` has their influence.
    dt : float or None
        Sampling interval; None if unknown.
    origin : Origin or None
        The signal, wavelet and convention; None if unknown. `xwt` and `wct` of transforms need it.
    """

    mask: Bools
    dt: float | None
    origin: Origin | None

    def __new__(  # noqa: D102
        cls,
        *fields: NDArray[Any],
        mask: Bools | None = None,
        dt: float | None = None,
        origin: Origin | None = None,
    ) -> CwtResult:
        self = super().__new__(cls, *fields)
        self.mask = np.zeros(self.coefs.shape, np.bool_) if mask is None else mask
        self.dt = dt
        self.origin = origin
        return self

    def plot(
        self,
        times: ArrayLike | None = None,
        *,
        ax: Axes | None = None,
        **options: Unpack[Options],
    ) -> Axes:
        """Draw the power |W|² over time and period, with its cone of influence and mask.

        Parameters
        ----------
        times : array_like, shape (time,), optional
            Numbers or dates; multiples of `dt` if not given.
        ax : matplotlib.axes.Axes, optional
            Where to draw; axes of a new figure if not given.
        **options
            As of `pycwt_mod.plot.plot_scalogram`. By default periods run downwards
            (`period_axis`), and the unit of periods is found from dates and `dt`.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ModuleNotFoundError
            If matplotlib is not installed.
        ValueError
            If the result is of a batch, or the number of `times` is not that of the samples.
        """
        from pycwt_mod.plot.results import draw_power

        return draw_power(self, times, ax=ax, **options)

    def _facts(self) -> dict[str, str]:
        return _facts(self.coefs, self.freqs, self.mask)


class _XwtFields(NamedTuple):
    cross: Complexes
    coi: Floats
    freqs: Floats
    signif: Floats


class XwtResult(_Attributed, _XwtFields):  # type: ignore[misc]
    """What `xwt` returns; it unpacks as pycwt's four values.

    Attributes
    ----------
    cross : ndarray, shape (scales, time), complex
        W1 W2*; its argument is the phase by which the first signal leads.
    coi : ndarray, shape (time,)
        Longest Fourier period free of edge effects.
    freqs : ndarray, shape (scales,)
    signif : ndarray, shape (scales,)
        Level of |cross|.
    mask : ndarray of bool, shape (scales, time)
        True where too much of a value's energy is missing in either signal, or where either is
        constant within the support; see `cwt`.
    lag1 : (Lag1, Lag1), or None
        Coefficients of both signals that `signif` was computed with.
    dt : float or None
        Sampling interval; None if unknown.
    """

    dt: float | None
    mask: Bools
    lag1: tuple[Lag1, Lag1] | None

    def __new__(  # noqa: D102
        cls,
        *fields: NDArray[Any],
        mask: Bools | None = None,
        lag1: tuple[Lag1, Lag1] | None = None,
        dt: float | None = None,
    ) -> XwtResult:
        self = super().__new__(cls, *fields)
        self.dt = dt
        self.mask = np.zeros(self.cross.shape, np.bool_) if mask is None else mask
        self.lag1 = lag1
        return self

    def plot(
        self,
        times: ArrayLike | None = None,
        *,
        ax: Axes | None = None,
        **options: Unpack[Options],
    ) -> Axes:
        """Draw |W1 W2*| over time and period, its threshold, and arrows of the phase.

        See `CwtResult.plot` for the arguments and `pycwt_mod.plot.plot_cross` for the picture.
        """
        from pycwt_mod.plot.results import draw_cross

        return draw_cross(self, times, ax=ax, **options)

    def _facts(self) -> dict[str, str]:
        return _facts(self.cross, self.freqs, self.mask) | {
            "threshold of |cross|": span(self.signif)
        }


class _WctFields(NamedTuple):
    coherence: Floats
    phase: Floats
    coi: Floats
    freqs: Floats
    signif: Floats


class WctResult(_Attributed, _WctFields):  # type: ignore[misc]
    """What `wct` and `pwct` return; it unpacks as pycwt's five values.

    Attributes
    ----------
    coherence : ndarray, shape (scales, time)
        R², from 0 to 1; of `pwct` what is left once the other signals are taken into account.
    phase : ndarray, shape (scales, time), radians
        Argument of W1 W2*, by which the first signal leads; or of the smoothed one if that was
        asked for.
    coi : ndarray, shape (time,)
        Longest Fourier period free of edge effects.
    freqs : ndarray, shape (scales,)
    signif : ndarray, shape (scales,)
        Level of R² by Monte Carlo (see `wct_significance`); ``[0]`` with ``sig=False``.
    mask : ndarray of bool, shape (scales, time)
        True where too much of a value's energy is missing in either signal; see `cwt`. Also where
        either signal is constant, but for rounding, within the support of the value: `coherence`,
        `phase` and `smoothed` are 0 there. So they are where `pwct` has a singular matrix.
    smoothed : ndarray, shape (2, ..., scales, time)
        Real and imaginary part of the smoothed cross spectrum S(W1 W2*/s), in the product of
        the signals' units unless they were normalized; of `pwct` that of the residuals.
    lag1 : tuple of Lag1, or None
        Coefficients of all signals that `signif` was computed with; None with ``sig=False``.
    dt : float or None
        Sampling interval; None if unknown.
    """

    dt: float | None
    smoothed: Floats
    mask: Bools
    lag1: tuple[Lag1, ...] | None

    def __new__(  # noqa: D102
        cls,
        *fields: NDArray[Any],
        smoothed: Floats | None = None,
        mask: Bools | None = None,
        lag1: tuple[Lag1, ...] | None = None,
        dt: float | None = None,
    ) -> WctResult:
        self = super().__new__(cls, *fields)
        self.dt = dt
        if smoothed is None:
            smoothed = np.stack([np.cos(self.phase), np.sin(self.phase)])
        self.smoothed = smoothed
        self.mask = np.zeros(self.coherence.shape, np.bool_) if mask is None else mask
        self.lag1 = lag1
        return self

    def plot(
        self,
        times: ArrayLike | None = None,
        *,
        ax: Axes | None = None,
        **options: Unpack[Options],
    ) -> Axes:
        """Draw R² over time and period, its threshold, and arrows of the phase.

        See `CwtResult.plot` for the arguments and `pycwt_mod.plot.plot_coherence` for the
        picture.
        """
        from pycwt_mod.plot.results import draw_coherence

        return draw_coherence(self, times, ax=ax, **options)

    def _facts(self) -> dict[str, str]:
        return _coherence_facts(self)

    @property
    def smoothed_phase(self) -> Floats:
        """Argument of the smoothed cross spectrum in radians, less noisy than `phase`."""
        return np.asarray(np.arctan2(self.smoothed[1], self.smoothed[0]))


class _MwctFields(NamedTuple):
    coherence: Floats
    coi: Floats
    freqs: Floats
    signif: Floats


class MwctResult(_Attributed, _MwctFields):  # type: ignore[misc]
    """What `mwct` returns: ``(coherence, coi, freqs, signif)``.

    Attributes
    ----------
    coherence : ndarray, shape (..., scales, time)
        R² of the target with all other signals, from 0 to 1.
    coi : ndarray, shape (time,)
        Longest Fourier period free of edge effects.
    freqs : ndarray, shape (scales,)
    signif : ndarray, shape (..., scales)
        Level of R² by Monte Carlo; ``[0]`` with ``sig=False``.
    mask : ndarray of bool, shape (..., scales, time)
        True where too much of a value's energy is missing in any signal, where any is constant
        within the support of the value, and where the matrix of the spectra is singular.
        `coherence` is 0 in the last two cases.
    lag1 : tuple of Lag1, or None
        Coefficients of all signals that `signif` was computed with; None with ``sig=False``.
    dt : float or None
        Sampling interval; None if unknown.
    """

    dt: float | None
    mask: Bools
    lag1: tuple[Lag1, ...] | None

    def __new__(  # noqa: D102
        cls,
        *fields: NDArray[Any],
        mask: Bools | None = None,
        lag1: tuple[Lag1, ...] | None = None,
        dt: float | None = None,
    ) -> MwctResult:
        self = super().__new__(cls, *fields)
        self.dt = dt
        self.mask = np.zeros(self.coherence.shape, np.bool_) if mask is None else mask
        self.lag1 = lag1
        return self

    def plot(
        self,
        times: ArrayLike | None = None,
        *,
        ax: Axes | None = None,
        **options: Unpack[Options],
    ) -> Axes:
        """Draw R² over time and period, and its threshold.

        See `CwtResult.plot` for the arguments and `pycwt_mod.plot.plot_coherence` for the
        picture.
        """
        from pycwt_mod.plot.results import draw_coherence

        return draw_coherence(self, times, ax=ax, **options)

    def _facts(self) -> dict[str, str]:
        return _coherence_facts(self)


def _coherence_facts(result: WctResult | MwctResult) -> dict[str, str]:
    facts = _facts(result.coherence, result.freqs, result.mask)
    facts["mean R²"] = mean(result.coherence)
    facts["threshold of R²"] = span(result.signif) if np.any(result.signif) else "none"
    return facts


def _facts(values: NDArray[Any], freqs: Floats, mask: Bools) -> dict[str, str]:
    """Return the facts that all transforms have in common."""
    return {
        "shape": str(values.shape),
        "dtype": str(values.dtype),
        "periods": span(1 / np.asarray(freqs)),
        "masked": percentage(mask),
    }
