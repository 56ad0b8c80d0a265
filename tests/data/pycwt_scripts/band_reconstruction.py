"""A band-pass filter made of the rows between two periods."""

import numpy as np
import pycwt as wavelet

t = np.arange(1024.0)
slow, fast = np.sin(2 * np.pi * t / 128), np.sin(2 * np.pi * t / 16)
dt, dj = 1, 1 / 12
mother = wavelet.Morlet(6)
wave, scales, freqs, coi, fft, fftfreqs = wavelet.cwt(slow + fast, dt, dj, 2 * dt, 84, mother)
period = 1 / freqs
low, high = np.argmin(np.abs(period - 60)), np.argmin(np.abs(period - 300))

part = wavelet.icwt(wave[low:high, :], scales[low:high], dt, dj, mother)
emptied = wave.copy()
emptied[period < 60, :] = 0
whole = wavelet.icwt(emptied, scales, dt, dj, mother)
answer = {
    "part": np.real(part)[256:768:16] + 2,
    "whole": np.real(whole)[256:768:16] + 2,
}
