"""Coherence of two bands from smoothed spectra, as several packages compute it."""

import numpy as np
import pycwt as wavelet

t = np.arange(512) * 0.5
rng = np.random.default_rng(3)
common = np.sin(2 * np.pi * t / 8)
first = common + 0.3 * rng.standard_normal(t.size)
second = np.roll(common, 2) + 0.3 * rng.standard_normal(t.size)
dt, dj, s0, J = 0.5, 1 / 12, 1.0, 72

mother = wavelet.Morlet(6)
W1, sj, freq, coi, _, _ = wavelet.cwt(first, dt, dj=dj, s0=s0, J=J, wavelet=mother)
W2, sj, freq, coi, _, _ = wavelet.cwt(second, dt, dj=dj, s0=s0, J=J, wavelet=mother)
scales = np.ones([1, t.size]) * sj[:, None]
S1 = mother.smooth(np.abs(W1) ** 2 / scales, dt, dj, sj)
S2 = mother.smooth(np.abs(W2) ** 2 / scales, dt, dj, sj)
S12 = mother.smooth(W1 * W2.conj() / scales, dt, dj, sj)
WCT = np.abs(S12) ** 2 / (S1 * S2 + 1e-12)
band = (freq >= 1 / 9) & (freq <= 1 / 7)
inside = WCT[band][:, 100:-100]
angle = np.angle(S12[band][:, 100:-100].mean())
answer = {"coherent": np.array([inside.mean()]), "delay": np.array([angle / (2 * np.pi / 8)])}
