"""Coherence against that of surrogates with random phases."""

import pickle
from functools import partial
from typing import Any

import numpy as np
import pycwt

rng = np.random.default_rng(8)
t = np.arange(256)
x = np.sin(2 * np.pi * t / 32) + 0.2 * rng.standard_normal(t.size)
y = np.sin(2 * np.pi * t / 32 + 1) + 0.2 * rng.standard_normal(t.size)
coherence = partial(pycwt.wct, dt=1.0, dj=1 / 4, sig=False, cache=False, progress=False)


def surrogate(v: Any) -> Any:
    spectrum = np.fft.rfft(v - v.mean())
    return np.fft.irfft(np.abs(spectrum) * np.exp(2j * np.pi * rng.random(spectrum.size)), v.size)


R2, phase, coi, freq, _ = pickle.loads(pickle.dumps(tuple(coherence(x, y))))
noise = np.stack([coherence(surrogate(x), y)[0] for _ in range(10)])
row = np.abs(1 / freq - 32).argmin()
answer = {
    "coherent": R2[row, 64:-64].mean(keepdims=True),
    "lead": phase[row, 64:-64].mean(keepdims=True),
    "shape": np.array(noise.shape),
}
