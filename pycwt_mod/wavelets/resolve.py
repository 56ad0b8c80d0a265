"""From a name, a class or an object of any package to a wavelet that an analysis can keep."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from pycwt_mod.arrays import check_positive
from pycwt_mod.wavelets.builtin import BuiltinWavelet
from pycwt_mod.wavelets.dog import DOG, MexicanHat
from pycwt_mod.wavelets.morlet import Morlet
from pycwt_mod.wavelets.paul import Paul
from pycwt_mod.wavelets.protocol import Wavelet
from pycwt_mod.wavelets.snapshot import WaveletSnapshot

WAVELET_NAMES = ("morlet", "paul", "dog", "mexicanhat")
_BUILTIN = (Morlet, Paul, DOG, MexicanHat)
_PYCWT_NAMES = ("Morlet", "Paul", "DOG", "MexicanHat")


def wavelet_from_name(name: str, param: float | None = None) -> BuiltinWavelet:
    """Return the wavelet called `name`, with its parameter if given.

    Parameters
    ----------
    name : {"morlet", "paul", "dog", "mexicanhat"}
    param : float, optional
        f0 of Morlet, order m of Paul and DOG; the Mexican hat has none.

    Raises
    ------
    ValueError
        If the name is unknown or the parameter is not allowed.

    Examples
    --------
    >>> wavelet_from_name("dog", 6).m
    6
    """
    if name not in WAVELET_NAMES:
        raise ValueError(f"wavelet={name!r} must be one of {WAVELET_NAMES}")
    if name == "mexicanhat":
        if param not in (None, 2):
            raise ValueError(f"{param=} must be None or 2 for the Mexican hat")
        return MexicanHat()
    if name == "morlet":
        return Morlet() if param is None else Morlet(float(param))
    order_wavelet = Paul if name == "paul" else DOG
    if param is None:
        return order_wavelet()
    if int(param) != param:
        raise ValueError(f"{param=} must be a whole number for wavelet {name!r}")
    return order_wavelet(int(param))


def as_wavelet(wavelet: object) -> Wavelet:
    """Return `wavelet`, or the one of that name or class, as an immutable and hashable value.

    Every analysis begins with this, so that its plans and tables, which are cached by wavelet,
    belong to the values that the wavelet has now. Wavelets of pycwt become those of the library
    with the same parameter; any other object becomes a `WaveletSnapshot`.

    Raises
    ------
    ValueError
        If it is neither a name nor a wavelet, or its values can't be determined.

    Examples
    --------
    >>> mine = Morlet(6)
    >>> before = as_wavelet(mine)
    >>> mine.f0 = 8
    >>> before, as_wavelet(mine) == Morlet(8)
    (Morlet(f0=6.0), True)
    """
    if isinstance(wavelet, str):
        return _by_name(wavelet)
    if isinstance(wavelet, type) and callable(getattr(wavelet, "psi_ft", None)):
        wavelet = wavelet()
    if isinstance(wavelet, BuiltinWavelet) and type(wavelet) in _BUILTIN:
        return WaveletSnapshot.of(wavelet) if wavelet.is_modified else wavelet.read_only()
    if isinstance(wavelet, WaveletSnapshot):
        return wavelet
    if isinstance(wavelet, type) or not callable(getattr(wavelet, "psi_ft", None)):
        raise ValueError(
            f"{wavelet=} is not a wavelet, since it has no method psi_ft; give one of "
            f"{WAVELET_NAMES}, a wavelet such as Morlet(6), or one of your own (see Wavelet)"
        )
    return _from_pycwt(wavelet) or WaveletSnapshot.of(wavelet)


def with_deltaj0(wavelet: object, deltaj0: float | None) -> Wavelet:
    """Return `as_wavelet(wavelet)` with another width of the smoothing in scale, in octaves.

    Examples
    --------
    >>> with_deltaj0("morlet", 1.2).deltaj0
    1.2
    """
    mother = as_wavelet(wavelet)
    if deltaj0 is None:
        return mother
    snapshot = mother if isinstance(mother, WaveletSnapshot) else WaveletSnapshot.of(mother)
    return replace(snapshot, width=check_positive("deltaj0", deltaj0))


@cache
def _by_name(name: str) -> BuiltinWavelet:
    return wavelet_from_name(name).read_only()


def _from_pycwt(wavelet: Any) -> BuiltinWavelet | None:  # noqa: ANN401 - of another package
    """Return the library's wavelet for one of the package pycwt; None for any other object.

    Also None for one with attributes of its own, which the library's would lack.
    """
    kind = type(wavelet)
    if kind.__module__ != "pycwt.mothers" or kind.__name__ not in _PYCWT_NAMES:
        return None
    state = vars(wavelet)
    if state.keys() != vars(kind()).keys():
        return None
    order = state["f0"] if "f0" in state else state["m"]
    name = "dog" if kind.__name__ == "MexicanHat" and order != 2 else kind.__name__.lower()
    ours = wavelet_from_name(name, order)
    made = vars(kind()), vars(kind() if kind.__name__ == "MexicanHat" else kind(order))
    for factor in ("cdelta", "gamma", "deltaj0"):
        # pycwt fills factors in when an object is made, and leaves them as they are when its
        # order is assigned: only other values were given by the caller.
        if state[factor] not in {one[factor] for one in made}:
            setattr(ours, factor, state[factor])
    return ours.read_only()
