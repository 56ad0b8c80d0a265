"""What rows are made of: spectra of the whole record, and parts of it for segments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import scipy.fft

from pycwt_mod.arrays import Complexes, Floats
from pycwt_mod.engine.inputs import Carrier, Part

#: Parts of a signal on one circle.
Parts: TypeAlias = dict[Part, Carrier]


@dataclass(frozen=True, eq=False)
class Sources:
    """Spectra by FFT length, and samples by the length of their circle and by part."""

    spectra: dict[int, Complexes]
    carriers: dict[int, Parts]

    def one(self, k: int) -> Sources:
        """Return those of signal `k` of the flattened batch."""
        return Sources(
            {m: found.reshape(-1, found.shape[-1])[k] for m, found in self.spectra.items()},
            {m: one_of(parts, k) for m, parts in self.carriers.items()},
        )


def one_of(parts: Parts, k: int) -> Parts:
    """Return the parts of signal `k` of the flattened batch."""
    return {part: carrier.one(k) for part, carrier in parts.items()}


def spectra_by_length(
    signal: Floats, spectrum: Complexes, length: int, lengths: Iterable[int], workers: int
) -> dict[int, Complexes]:
    """Return `rfft` of each of `lengths`; `spectrum` is the one of `length`."""
    return {
        wanted: spectrum
        if wanted == length
        else scipy.fft.rfft(signal, wanted, axis=-1, workers=workers)
        for wanted in lengths
    }
