"""Mother wavelets, the protocol that they fit, and how an analysis takes one."""

from __future__ import annotations

from typing import Any

from pycwt_mod.wavelets.builtin import BuiltinWavelet
from pycwt_mod.wavelets.dog import DOG, MexicanHat
from pycwt_mod.wavelets.morlet import Morlet
from pycwt_mod.wavelets.paul import Paul
from pycwt_mod.wavelets.protocol import Wavelet, WaveletLike
from pycwt_mod.wavelets.snapshot import WaveletSnapshot

__all__ = [
    "DOG",
    "MexicanHat",
    "Morlet",
    "Paul",
    "Wavelet",
    "WaveletLike",
    "WaveletSnapshot",
    "as_wavelet",
    "wavelet_from_name",
]

WAVELET_NAMES = ("morlet", "paul", "dog", "mexicanhat")
_BUILTIN = (Morlet, Paul, DOG, MexicanHat)


def wavelet_from_name(name: str, param: float | None = None) -> Wavelet:
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
        wavelet = wavelet_from_name(wavelet)
    if isinstance(wavelet, type) and callable(getattr(wavelet, "psi_ft", None)):
        wavelet = wavelet()
    if isinstance(wavelet, BuiltinWavelet) and type(wavelet) in _BUILTIN:
        return WaveletSnapshot.of(wavelet) if wavelet.is_modified else wavelet.read_only()
    if isinstance(wavelet, WaveletSnapshot):
        return wavelet
    if isinstance(wavelet, type) or not callable(getattr(wavelet, "psi_ft", None)):
        raise ValueError(
            f"{wavelet=} must be one of {WAVELET_NAMES}, or a wavelet such as Morlet(6); or fit "
            "the Wavelet protocol"
        )
    return _from_pycwt(wavelet) or WaveletSnapshot.of(wavelet)


def _from_pycwt(wavelet: Any) -> Wavelet | None:  # noqa: ANN401 - an object of another package
    """Return the library's wavelet for one of the package pycwt; None for any other object."""
    kind = type(wavelet)
    if kind.__module__ != "pycwt.mothers":
        return None
    found: BuiltinWavelet
    match kind.__name__:
        case "Morlet":
            found = Morlet(wavelet.f0)
        case "Paul":
            found = Paul(wavelet.m)
        case "DOG":
            found = DOG(wavelet.m)
        case "MexicanHat":
            found = MexicanHat() if wavelet.m == 2 else DOG(wavelet.m)
        case _:
            return None
    return found.read_only()
