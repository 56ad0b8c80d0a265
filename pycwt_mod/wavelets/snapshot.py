"""A caller's own wavelet as an immutable value, completed where it leaves something out."""

from __future__ import annotations

import copy
import enum
import types
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.wavelets.protocol import Array, outermost, reconstruction_factor

#: Where a wavelet's spectrum is sampled to recognise it: s·ω from below to beyond any centre.
_PROBES = np.concatenate([-np.geomspace(50, 0.1, 8), np.geomspace(0.1, 50, 24)])
#: Support is searched for up to this time or frequency, at scale 1.
_FARTHEST = 1e7
#: pycwt's value of a factor that it doesn't know.
_UNKNOWN = -1

_ATOMS = (type(None), bool, int, str, bytes, enum.Enum)
_CODE = (types.FunctionType, types.BuiltinFunctionType, type)


@dataclass(frozen=True, repr=False)
class WaveletSnapshot:
    """A copy of a wavelet at the time of the call, equal to another if their values are.

    Members of `Wavelet` that the original lacks are derived: those of a wavelet written for
    pycwt from `flambda` and `coi`, the support from samples of `psi` and `psi_ft`.

    Attributes
    ----------
    source : object
        The copy; not to be changed.
    key : Hashable
        Its class, the values of its attributes, and samples of its spectrum.
    width : float or None
        A `deltaj0` that replaces the original's.
    """

    source: Any = field(compare=False)
    key: Hashable
    width: float | None = None

    def __repr__(self) -> str:
        own = repr(self.source)
        return own if self.width is None else f"{own} with deltaj0={self.width!r}"

    @classmethod
    def of(cls, wavelet: object) -> WaveletSnapshot:
        """Return a snapshot of `wavelet`.

        Raises
        ------
        ValueError
            If it lacks an indispensable member, or can't be copied and compared by its values.
        """
        _check_members(wavelet)
        try:
            source: Any = copy.deepcopy(wavelet)
            state = _value(source, ())
        except (TypeError, RecursionError, copy.Error) as error:
            raise ValueError(
                f"cannot use {wavelet=}: its attributes can't be copied and compared ({error}); "
                "keep its parameters as numbers, strings or arrays"
            ) from error
        with np.errstate(all="ignore"):
            spectrum = np.asarray(source.psi_ft(_PROBES)).tobytes()
        return cls(source, (state, spectrum))

    def _own(self, name: str) -> Any:  # noqa: ANN401 - whatever the wavelet says
        """Return the original's attribute `name`; None if it has none, or pycwt's "unknown"."""
        if not _has(self.source, name):
            return None
        value = getattr(self.source, name)
        return None if isinstance(value, int | float) and value == _UNKNOWN else value

    @property
    def name(self) -> str:
        """Name for people; of the class, if the wavelet has none."""
        return self._own("name") or type(self.source).__name__

    @cached_property
    def analytic(self) -> bool:
        """Whether only positive frequencies count; derived: whether `psi` is complex."""
        analytic = self._own("analytic")
        return np.iscomplexobj(self.psi(np.zeros(1))) if analytic is None else bool(analytic)

    @cached_property
    def dofmin(self) -> int:
        """Degrees of freedom of one coefficient; derived: 2 if analytic, else 1."""
        return int(self._own("dofmin") or (2 if self.analytic else 1))

    @cached_property
    def fourier_factor(self) -> float:
        """Fourier period of scale 1; derived from `flambda()`."""
        return float(self._own("fourier_factor") or self.source.flambda())

    @cached_property
    def efolding(self) -> float:
        """Time in which the response to a step falls by e; derived from `coi()`."""
        return float(self._own("efolding") or 1 / self.source.coi())

    @cached_property
    def psi0(self) -> float:
        """Value at t = 0, without the constant phase; derived from `psi`."""
        own = self._own("psi0")
        if own is not None:
            return float(own)
        value = self.psi(np.zeros(1))[0]
        return float(abs(value)) if self.analytic else float(np.real(value))

    @cached_property
    def cdelta(self) -> float:
        """Reconstruction factor; derived: the integral of TC98 eq. 13."""
        return float(self._own("cdelta") or reconstruction_factor(self))

    @property
    def gamma(self) -> float:
        """Decorrelation factor for averages over time; ValueError if the wavelet has none."""
        return self._factor("gamma")

    @property
    def deltaj0(self) -> float:
        """Decorrelation width in octaves; ValueError if the wavelet has none."""
        return self._factor("deltaj0") if self.width is None else self.width

    def _factor(self, name: str) -> float:
        value = self._own(name)
        if value is None:
            raise ValueError(f"wavelet={self!r} has no {name}: give it an attribute {name}")
        return float(value)

    def psi_ft(self, f: ArrayLike) -> Array:
        """Fourier transform at s·ω."""
        return np.asarray(self.source.psi_ft(np.asarray(f)))

    def psi(self, t: ArrayLike) -> Array:
        """Return the wavelet at t/s."""
        return np.asarray(self.source.psi(np.asarray(t)))

    def time_radius(self, tol: float) -> float:
        """Time beyond which |ψ| stays below `tol` of its maximum; derived by sampling `psi`."""
        if _has(self.source, "time_radius"):
            return float(self.source.time_radius(tol))
        return self._support(self.psi, tol)[1]

    def frequency_band(self, tol: float) -> tuple[float, float]:
        """Positive s·ω outside which ψ̂ stays below `tol` of its maximum; derived by sampling."""
        if _has(self.source, "frequency_band"):
            low, high = self.source.frequency_band(tol)
            return float(low), float(high)
        return self._support(self.psi_ft, tol)

    def _support(self, shape: Callable[[Array], Array], tol: float) -> tuple[float, float]:
        far = 8.0
        while far < _FARTHEST:
            beyond = np.abs(shape(np.linspace(far, 2 * far, 4001))).max()
            if beyond <= tol * np.abs(shape(np.linspace(0, far, 4001))).max():
                return outermost(shape, tol, far=far)
            far *= 2
        raise ValueError(
            f"cannot use wavelet={self!r}: it doesn't fall below {tol:g} of its maximum up to "
            f"{_FARTHEST:g}; give it time_radius(tol) and frequency_band(tol)"
        )


def _has(wavelet: object, name: str) -> bool:
    """Whether there is such an attribute; a property is not evaluated, since it may raise."""
    return hasattr(type(wavelet), name) or name in getattr(wavelet, "__dict__", ())


def _check_members(wavelet: object) -> None:
    """Raise ValueError, naming what is missing, unless a snapshot can complete the wavelet."""
    missing = [name for name in ("psi_ft", "psi") if not _has(wavelet, name)]
    either = (("fourier_factor", "flambda"), ("efolding", "coi"))
    missing += [f"{a} or {b}()" for a, b in either if not (_has(wavelet, a) or _has(wavelet, b))]
    if missing:
        raise ValueError(
            f"cannot use {wavelet=}: it lacks {', '.join(missing)}; see pycwt_mod.Wavelet for what "
            "a wavelet must offer"
        )


def _value(item: object, within: tuple[int, ...]) -> Hashable:
    """Return what tells `item` from others by content; raise TypeError if nothing does.

    Objects are taken apart as `copy` and `pickle` take them apart. `within` holds the ids of the
    objects that `item` is a part of.
    """
    if isinstance(item, float | complex):
        return type(item), repr(item)  # NaN equals itself
    if isinstance(item, _ATOMS):
        return type(item), item
    if isinstance(item, _CODE):
        return item
    if id(item) in within:
        return "itself", within.index(id(item))
    inner = partial(_value, within=(*within, id(item)))
    if isinstance(item, np.ndarray):
        content = item.tobytes() if item.dtype != object else inner(item.tolist())
        return type(item), item.shape, item.dtype.str, content
    if isinstance(item, Mapping):
        return type(item), frozenset((inner(k), inner(v)) for k, v in item.items())
    if isinstance(item, list | tuple):
        return type(item), tuple(inner(one) for one in item)
    if isinstance(item, set | frozenset):
        return type(item), frozenset(inner(one) for one in item)
    parts = item.__reduce_ex__(4)
    if isinstance(parts, str):  # a name in its module
        return item
    return type(item), *(inner(tuple(p) if isinstance(p, Iterator) else p) for p in parts)
