"""Cross spectrum with Grinsted's level, and the arrows of its phase."""

import numpy as np
import pycwt as wavelet

n, dt = 200, 1.0
t = np.arange(n) * dt
rng = np.random.default_rng(6)
s1 = np.sin(2 * np.pi * t / 20) + 0.3 * rng.standard_normal(n)
s2 = np.sin(2 * np.pi * t / 20 - np.pi / 4) + 0.3 * rng.standard_normal(n)
mother = wavelet.Morlet(6)

W12, cross_coi, freq, signif = wavelet.xwt(
    s1, s2, dt, dj=1 / 12, s0=-1, J=-1, significance_level=0.8646, wavelet="morlet", normalize=True
)
cross_power = np.abs(W12) ** 2
cross_sig = cross_power / (np.ones([1, n]) * signif[:, None])
cross_period = 1 / freq
angle = 0.5 * np.pi - np.angle(W12)
u, v = np.cos(angle)[::3, ::3], np.sin(angle)[::3, ::3]

Pk1 = wavelet.ar1_spectrum(freq * dt, wavelet.ar1(s1)[0])
Pk2 = wavelet.ar1_spectrum(freq * dt, wavelet.ar1(s2)[0])
row = np.abs(cross_period - 20).argmin()
answer = {
    "u": u[row // 3, 15:-15],
    "v": v[row // 3, 15:-15],
    "noise": np.sqrt(Pk1 * Pk2),
    "power": cross_power[row, 50:-50],
}
