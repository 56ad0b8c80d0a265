"""A copy of the smoothing that takes pycwt's helpers apart."""

import numpy as np
import pycwt
from pycwt.helpers import fft, fft_kwargs, rect
from scipy.signal import convolve2d

mother = pycwt.mothers.Morlet(6)
rng = np.random.default_rng(4)
dt, dj = 1.0, 1 / 12
W, sj, *_ = pycwt.cwt(rng.standard_normal(256), dt, dj)
rows = np.abs(W) ** 2 / sj[:, None]

n = rows.shape[1]
k2 = (2 * np.pi * fft.fftfreq(fft_kwargs(rows[0, :])["n"])) ** 2
F = np.exp(-0.5 * ((sj / dt)[:, None] ** 2) * k2)
smooth = fft.ifft(F * fft.fft(rows, axis=1, **fft_kwargs(rows[0, :])), axis=1)[:, :n].real
window = rect(int(np.round(mother.deltaj0 / dj * 2)), normalize=True)
answer = {"smoothed": convolve2d(smooth, window[:, None], "same")[20:60, 60:-60].mean(axis=1)}
