"""Wavelets looked up by name, subclassed, and changed between two calls."""

import re
from typing import Any

import numpy as np
import pycwt
import pycwt.mothers

kinds = {w.lower(): vars(pycwt.mothers)[w] for w in ("Morlet", "Paul", "DOG", "MexicanHat")}


def mother_of(name: str) -> Any:
    kind = kinds[re.sub("[0-9]", "", name.lower())]
    order = re.findall("[0-9]+", name)
    return kind(int(order[0])) if order else kind()


class Narrow(pycwt.Morlet):  # type: ignore[misc]
    """A subclass whose parameter is fixed."""

    def __init__(self) -> None:
        super().__init__(f0=10)


x = np.sin(2 * np.pi * np.arange(300) / 12)
freqs = 1 / np.array([8.0, 10, 12, 14, 16])
answer = {}
for mother in (mother_of("morlet8"), mother_of("DOG6"), mother_of("mexicanhat"), Narrow()):
    W, *_ = pycwt.cwt(x, 1, wavelet=mother, freqs=freqs)
    answer[repr(type(mother).__name__)] = np.abs(W[:, 100:200]).mean(axis=1)
mother = pycwt.wavelet.Morlet()
for f0 in (6, 8, 12):
    mother.f0 = f0
    answer[f"f0 {f0}"] = np.abs(pycwt.cwt(x, 1, wavelet=mother, freqs=freqs)[0][:, 100:200]).mean(1)
answer["psi"] = np.abs(mother.psi(np.linspace(-4, 4, 2**6)))
