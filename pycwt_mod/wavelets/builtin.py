"""What the library's own wavelets share: checked parameters, and pycwt's methods."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from pycwt_mod.arrays import check_positive
from pycwt_mod.wavelets.protocol import Wavelet, reconstruction_factor

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

    def __setattr__(self, name: str, value: object) -> None:
        if self._read_only:
            raise AttributeError(
                f"cannot set {name}: this {self!r} is part of an analysis; change your own "
                f"wavelet, or make one with dataclasses.replace(wavelet, {name}=...)"
            )
        if name.startswith("given_") and value is not None:
            value = check_positive(name, value)  # type: ignore[arg-type]
        object.__setattr__(self, name, self._checked(name, value))

    def _checked(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any attribute
        """Return `value` as the attribute `name` stores it; raise ValueError if out of range."""
        raise NotImplementedError

    def read_only(self) -> Self:
        """Return a copy whose parameters can't be assigned; the wavelet itself if it is one."""
        if self._read_only:
            return self
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, _read_only=True)
        return twin

    @property
    def published(self) -> Factors:
        """Published factors of this order (TC98 table 2)."""
        raise NotImplementedError

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

    def flambda(self) -> float:
        """`fourier_factor` by pycwt's name."""
        return self.fourier_factor

    def coi(self) -> float:
        """1 / `efolding`, pycwt's factor of the cone of influence."""
        return 1 / self.efolding

    def sup(self) -> float:
        """`efolding` by pycwt's name."""
        return self.efolding


def checked_order(value: float) -> int:
    """Return an order m as int; raise ValueError unless a whole number from 1 to 40."""
    if int(value) != value or not 1 <= value <= LARGEST_ORDER:
        raise ValueError(f"m={value!r} must be a whole number from 1 to {LARGEST_ORDER}")
    return int(value)
