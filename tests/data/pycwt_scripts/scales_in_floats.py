"""A number of scales that is not whole, arrays without dimensions, and results changed in place."""

import numpy as np
import pycwt as wavelet

N = 400
t = np.linspace(2000, 2100, N, endpoint=False)
dt = np.diff(t)[0]
x = np.sin(2 * np.pi * t / 11)
p = np.polyfit(t - t[0], x, 1)
x = x - np.polyval(p, t - t[0])
x = x / x.std()
s0 = np.array(2 * dt)
dj = 1 / 10
J = np.log2(N * dt / s0) / dj

wave, scales, freqs, coi, fft, fftfreqs = wavelet.cwt(x, dt, dj, s0, J, wavelet.Morlet(6))
power = np.abs(wave) ** 2
power /= scales[:, None]
period = 1 / freqs
coi[coi < period.min()] = period.min()
freqs *= 12
scales /= 12
again, *_ = wavelet.cwt(x, dt, dj, s0, J, wavelet.Morlet(6))
answer = {
    "scales": np.array([scales.size]),
    "period": period,
    "peak": np.array([period[power.mean(axis=1).argmax()]]),
    "again": np.abs(again[:, N // 2]) + 1,
    "fft": np.array([fftfreqs[np.abs(fft).argmax()]]),
}
