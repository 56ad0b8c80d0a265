"""Mother wavelets as immutable values, and the protocol they fit."""

from __future__ import annotations

from pycwt_mod.wavelets.dog import DOG, MexicanHat
from pycwt_mod.wavelets.morlet import Morlet
from pycwt_mod.wavelets.paul import Paul
from pycwt_mod.wavelets.protocol import Wavelet

__all__ = ["DOG", "MexicanHat", "Morlet", "Paul", "Wavelet", "as_wavelet", "wavelet_from_name"]

WAVELET_NAMES = ("morlet", "paul", "dog", "mexicanhat")


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


def as_wavelet(wavelet: Wavelet | str) -> Wavelet:
    """Return `wavelet` itself, or the one of that name with its default parameter."""
    if isinstance(wavelet, str):
        return wavelet_from_name(wavelet)
    if not callable(getattr(wavelet, "psi_ft", None)):
        raise ValueError(f"{wavelet=} must be one of {WAVELET_NAMES} or fit the Wavelet protocol")
    return wavelet
