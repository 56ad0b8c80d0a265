"""Delay between two records from the phase of their coherence, band by band."""

import numpy as np
import pycwt

t = np.arange(0, 40, 0.05)
fs = 1 / np.mean(np.diff(t))
rng = np.random.default_rng(5)
ref = sum(np.sin(2 * np.pi * f * t + p) for f, p in ((0.6, 0), (0.9, 1), (1.3, 2)))
cur = sum(np.sin(2 * np.pi * f * (t - 0.1) + p) for f, p in ((0.6, 0), (0.9, 1), (1.3, 2)))
cur = cur + 0.01 * rng.standard_normal(t.size)

WCT, angle, coi, freq, sig = pycwt.wct(
    cur, ref, 1 / fs, dj=1 / 12, s0=-1, J=-1, sig=False, wavelet="morlet", normalize=True
)
phase = np.unwrap(angle, axis=-1)
delay = phase / (2 * np.pi * freq[:, None])
inside = np.where((freq >= 0.5) & (freq <= 1.5))[0]
weights = 1 / WCT[inside]
weights[~np.isfinite(weights)] = 1.0
delay[np.where(freq > 1.5)[0], :] = 0.0
answer = {
    "delay": np.array([np.average(delay[inside][:, 200:600], weights=weights[:, 200:600])]),
    "level": np.asarray(sig),
}
