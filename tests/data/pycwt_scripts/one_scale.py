"""Flatness of the coefficients of a real wavelet at a single scale."""

import numpy as np
import pycwt as wav

rng = np.random.default_rng(2)
signal = np.cumsum(rng.standard_normal(1024))
signal = signal - signal.mean()
dt, frequency = np.float64(0.01), np.float64(6.0)

flatness, width = [], []
for mother in (wav.MexicanHat(), wav.DOG(m=6), wav.Morlet()):
    scale = 1.0 / mother.flambda() / frequency
    wt, sc, freqs, coi, _, _ = wav.cwt(signal, dt, 0.25, scale, 0, mother)
    real = np.real(np.squeeze(wt))[200:-200]
    real = (real - real.mean()) / real.std()
    flatness.append(np.mean(real**4) / np.mean(real**2) ** 2)
    width.append(freqs[0])
answer = {"flatness": np.array(flatness), "freqs": np.array(width)}
