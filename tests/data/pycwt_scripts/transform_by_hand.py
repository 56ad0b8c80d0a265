"""The transform rebuilt from the wavelet's methods, for another array library."""

import numpy as np
import pycwt
from pycwt.wavelet import _check_parameter_wavelet

n, dt, dj = 256, 0.25, 1 / 8
signal = np.sin(np.arange(n) / 5)

answer = {}
for given in ("morlet", "mexicanhat", pycwt.Morlet(8), pycwt.DOG(6)):
    mother = _check_parameter_wavelet(given)
    s0 = 2 * dt / mother.flambda()
    J = int(np.round(np.log2(n * dt / s0) / dj))
    sj = s0 * 2 ** (np.arange(0, J + 1) * dj)
    ftfreqs = 2 * np.pi * np.fft.fftfreq(n, dt)
    psi_ft_bar = (sj[:, None] * ftfreqs[1] * n) ** 0.5 * np.conj(
        mother.psi_ft(sj[:, None] * ftfreqs)
    )
    W = np.fft.ifft(np.fft.fft(signal) * psi_ft_bar, axis=1)
    coi = n / 2 - np.abs(np.arange(0, n) - (n - 1) / 2)
    coi = mother.flambda() * mother.coi() * dt * coi
    answer[f"{mother.name} {mother.dofmin}"] = np.append(np.abs(W[10:30, 128]), coi)
