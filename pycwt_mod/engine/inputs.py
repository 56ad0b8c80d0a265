"""What rows are computed from: spectra of the whole record, and parts of it for segments.

Segments take the signal as it is, or the part of it with positive or negative frequencies.

A filter that is cut at zero or at the Nyquist frequency rings through the whole record, which a
segment cannot reproduce. So the signal is cut instead, once: its part with positive frequencies,
x₊ = Σ_(ω>0) X(ω) exp(iωt), half the analytic signal, takes one FFT of the whole record, and the
filter may then continue smoothly beyond the cut. A two-sided wavelet also needs x₋ = x - x₊.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Floats

#: Which frequencies of the signal.
Part: TypeAlias = Literal["all", "positive", "negative"]


@dataclass(frozen=True, eq=False)
class PaddedSignal:
    """Consecutive samples; `values` has shape (..., samples), the first is sample `first`."""

    values: NDArray[Any]
    first: int

    @classmethod
    def periodic(cls, values: NDArray[Any], period: int, reach: int, count: int) -> PaddedSignal:
        """Return the samples from -`reach` to `count` + `reach` of a circle of `period`.

        The circle is zero after the given samples.
        """
        total = count + 2 * reach
        out = np.zeros((*values.shape[:-1], total), values.dtype)
        size = values.shape[-1]
        turn = -reach // period * period
        while turn < count + reach:
            low, high = max(turn, -reach), min(turn + size, count + reach)
            if high > low:
                out[..., low + reach : high + reach] = values[..., low - turn : high - turn]
            turn += period
        return cls(out, -reach)

    def signal(self, k: int) -> PaddedSignal:
        """Return signal `k` of the flattened batch."""
        return PaddedSignal(self.values.reshape(-1, self.values.shape[-1])[k], self.first)

    def segment(self, start: int, count: int) -> NDArray[Any]:
        """Return `count` samples from `start` on, with zeros outside of the stored ones."""
        low = start - self.first
        high = low + count
        size = self.values.shape[-1]
        if low >= 0 and high <= size:
            return self.values[..., low:high]
        out = np.zeros((*self.values.shape[:-1], count), self.values.dtype)
        inside = slice(max(low, 0), min(high, size))
        if inside.stop > inside.start:
            out[..., inside.start - low : inside.stop - low] = self.values[..., inside]
        return out


def analytic_parts(
    signal: Floats,
    spectrum: Complexes,
    length: int,
    parts: Iterable[Part],
    *,
    nyquist_counts: bool,
    workers: int,
) -> dict[Part, NDArray[Any]]:
    """Return parts of a signal padded to `length`; `spectrum` is its `rfft`.

    `nyquist_counts` says whether the Nyquist frequency is one of the positive ones.
    """
    needed = set(parts)
    arrays: dict[Part, NDArray[Any]] = {}
    if "all" in needed:
        arrays["all"] = signal
    if needed - {"all"}:
        positive = _positive(signal, spectrum, length, nyquist_counts, workers)
        arrays["positive"] = positive
        if "negative" in needed:
            negative = -positive
            negative[..., : signal.shape[-1]] += signal
            arrays["negative"] = negative
    return arrays


def _positive(
    signal: Floats, spectrum: Complexes, length: int, nyquist_counts: bool, workers: int
) -> Complexes:
    """Return (x + iHx)/2, with H the Hilbert transform, and of zero and Nyquist what counts."""
    out: Complexes = np.empty((*signal.shape[:-1], length), spectrum.dtype)
    turned = spectrum * spectrum.dtype.type(-0.5j)
    out.imag = scipy.fft.irfft(turned, length, axis=-1, overwrite_x=True, workers=workers)
    out.real = -spectrum[..., :1].real / (2 * length)
    out.real[..., : signal.shape[-1]] += signal / 2
    if length % 2 == 0:
        half = spectrum[..., -1:].real / (2 * length) * (1 if nyquist_counts else -1)
        out.real[..., ::2] += half
        out.real[..., 1::2] -= half
    return out


#: Parts of a signal on one circle.
Parts: TypeAlias = dict[Part, PaddedSignal]


@dataclass(frozen=True, eq=False)
class TransformInputs:
    """Spectra by FFT length, and samples by the length of their circle and by part."""

    spectra: dict[int, Complexes]
    parts: dict[int, Parts]

    def signal(self, k: int) -> TransformInputs:
        """Return those of signal `k` of the flattened batch."""
        return TransformInputs(
            {
                m: spectrum.reshape(-1, spectrum.shape[-1])[k]
                for m, spectrum in self.spectra.items()
            },
            {m: signal_parts(parts, k) for m, parts in self.parts.items()},
        )


def signal_parts(parts: Parts, k: int) -> Parts:
    """Return the parts of signal `k` of the flattened batch."""
    return {part: padded.signal(k) for part, padded in parts.items()}


def spectra_by_length(
    signal: Floats, spectrum: Complexes, length: int, lengths: Iterable[int], workers: int
) -> dict[int, Complexes]:
    """Return `rfft` of each of `lengths`; `spectrum` is the one of `length`."""
    return {
        each: spectrum if each == length else scipy.fft.rfft(signal, each, axis=-1, workers=workers)
        for each in lengths
    }
