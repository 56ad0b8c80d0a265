"""What the library's own wavelets share: checked parameters, and pycwt's methods."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import fields
from functools import cache
from typing import Any, NamedTuple, Self

from numpy.typing import ArrayLike

from pycwt_mod.arrays import (
    Convention,
    check_convention,
    check_count,
    check_positive,
    coefficient_array,
    octave_weights,
    padded_length,
    positive_axis,
)
from pycwt_mod.smoothing import CircularSmoother, ScaleBoxcar, gaussian_filter
from pycwt_mod.wavelets.protocol import Array, Wavelet, reconstruction_factor

#: Orders of Paul and DOG; their factorials still fit a double.
LARGEST_ORDER = 40


class Factors(NamedTuple):
    """Empirical factors of a wavelet (TC98 table 2); None where none has been published."""

    cdelta: float | None = None
    gamma: float | None = None
    deltaj0: float | None = None


class BuiltinWavelet(Wavelet):
    """Base of `Morlet`, `Paul` and `DOG`.

    Parameters can be assigned, as in ``wavelet.f0 = 8``, and are checked when they are. An
    analysis works on a read-only copy (`read_only`), so it never sees a later assignment.
    """

    given_gamma: float | None
    given_deltaj0: float | None
    given_cdelta: float | None

    _read_only = False

    def __repr__(self) -> str:
        parameters = ((f.name, getattr(self, f.name)) for f in fields(self) if f.init)  # type: ignore[arg-type]
        parts = (f"{name}={value!r}" for name, value in parameters if value is not None)
        return f"{type(self).__name__}({', '.join(parts)})"

    def __setattr__(self, name: str, value: object) -> None:
        if self._read_only:
            raise AttributeError(
                f"cannot set {name}: this {self!r} is part of an analysis; change your own "
                f"wavelet, or make one with dataclasses.replace(wavelet, {name}=...)"
            )
        if name.startswith("given_") and value is not None:
            value = check_positive(name, value)
        object.__setattr__(self, name, self._checked(name, value))

    @abstractmethod
    def _checked(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any attribute
        """Return `value` as the attribute `name` stores it; raise ValueError if out of range."""

    def read_only(self) -> Self:
        """Return a copy whose parameters can't be assigned; the wavelet itself if it is one."""
        if self._read_only:
            return self
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, _read_only=True)
        return twin

    @property
    def is_modified(self) -> bool:
        """Whether an attribute was set that is not one of the parameters, such as a method."""
        return bool(vars(self).keys() - self._parameters())

    @classmethod
    @cache
    def _parameters(cls) -> frozenset[str]:
        return frozenset({"_read_only", *(field.name for field in fields(cls))})  # type: ignore[arg-type]

    @property
    @abstractmethod
    def published(self) -> Factors:
        """Published factors of this order (TC98 table 2)."""

    @property
    def cdelta(self) -> float:
        """Reconstruction factor C_δ: the value assigned, the published one, or the integral."""
        if self.given_cdelta is not None:
            return self.given_cdelta
        published = self.published.cdelta
        return reconstruction_factor(self.read_only()) if published is None else published

    @cdelta.setter
    def cdelta(self, value: float | None) -> None:
        self.given_cdelta = value

    @property
    def gamma(self) -> float:
        """Decorrelation factor γ for averages over time: the value assigned, or the published one.

        Raises
        ------
        ValueError
            If there is neither.
        """
        return self._known("gamma", self.given_gamma, self.published.gamma)

    @gamma.setter
    def gamma(self, value: float | None) -> None:
        self.given_gamma = value

    @property
    def deltaj0(self) -> float:
        """Decorrelation width δj0 in octaves: the value assigned, or the published one.

        Raises
        ------
        ValueError
            If there is neither.
        """
        return self._known("deltaj0", self.given_deltaj0, self.published.deltaj0)

    @deltaj0.setter
    def deltaj0(self, value: float | None) -> None:
        self.given_deltaj0 = value

    def _known(self, name: str, assigned: float | None, published: float | None) -> float:
        value = published if assigned is None else assigned
        if value is None:
            raise ValueError(
                f"no {name} has been published for {self!r}: give one, as in "
                f"{type(self).__name__}(..., given_{name}=...) or wavelet.{name} = ..."
            )
        return value

    def smooth(
        self,
        W: ArrayLike,
        dt: float,
        dj: float,
        scales: ArrayLike,
        *,
        convention: Convention = "standard",
    ) -> Array:
        """Smooth a spectrum as coherence does, for scripts that compute it step by step.

        Parameters
        ----------
        W : array_like, shape (scales, n)
            Such as ``W1 * W2.conj() / scales[:, None]``, real or complex.
        dt, dj : float
            As given to `cwt`.
        scales : array_like, shape (scales,)
            From `cwt`.
        convention : {"standard", "pycwt"}
            Width of the boxcar in scale, and padding in time: the default is that of `wct` and
            of its levels.

        Returns
        -------
        ndarray, shape (scales, n)
            S(W), real for a real `W`: a Gaussian in time, and a boxcar of δj0 octaves in scale.

        Raises
        ------
        ValueError
            If the shapes don't match, `dj` is not the spacing of `scales`, or the wavelet has no
            δj0.

        References
        ----------
        Grinsted et al. (2004), eq. 9 and 10, doi:10.5194/npg-11-561-2004
        """
        check_convention(convention)
        rows = coefficient_array("W", W)
        axis = positive_axis("scales", scales)
        samples = axis / check_positive("dt", dt)
        if rows.ndim != 2 or samples.shape != rows.shape[:1]:
            raise ValueError(
                f"W has shape {rows.shape}, but must be (scales, n) with {samples.size} scales"
            )
        octave_weights("scales", axis, dj)
        boxcar = ScaleBoxcar.of(self.deltaj0, check_positive("dj", dj), convention)
        gauss = gaussian_filter(samples, padded_length(rows.shape[1], convention))
        return CircularSmoother(gauss, boxcar, slice(0, len(rows))).smooth(rows)

    def flambda(self) -> float:
        """`fourier_factor` by pycwt's name."""
        return self.fourier_factor

    def coi(self) -> float:
        """1 / `efolding`, pycwt's factor of the cone of influence."""
        return 1 / self.efolding

    def sup(self) -> float:
        """`efolding` by pycwt's name."""
        return self.efolding


def checked_order(value: object) -> int:
    """Return an order m as int; raise ValueError unless a whole number from 1 to 40."""
    order = check_count("m", value)
    if order > LARGEST_ORDER:
        raise ValueError(f"m={value!r} must be a whole number from 1 to {LARGEST_ORDER}")
    return order
