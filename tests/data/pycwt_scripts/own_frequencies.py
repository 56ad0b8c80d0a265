"""Peaks of the global spectrum at periods of one's own, by the time-averaged test."""

import numpy as np
import pycwt as cwt
from scipy.signal import find_peaks

rng = np.random.default_rng(1)
hours = np.arange(0, 2000, 1.5)
signal = np.sin(2 * np.pi * hours / 24) + 0.6 * np.sin(2 * np.pi * hours / 168)
signal = signal + 0.5 * rng.standard_normal(hours.size)
dt = hours[1] - hours[0]
periods = np.append(np.arange(6, 48, 2.0), np.arange(48, 300, 12.0))

mother = cwt.Morlet(6)
alpha, _, _ = cwt.ar1(signal)
wave, scales, freqs, coi, _, _ = cwt.cwt(signal=signal, dt=dt, wavelet=mother, freqs=1 / periods)
var = signal.std() ** 2
global_power = (np.abs(wave) ** 2).mean(axis=1)
dof = signal.size - scales
level, _ = cwt.significance(
    var, dt, scales, 1, alpha, significance_level=0.99, dof=dof, wavelet=mother
)
peaks = [i for i in find_peaks(var * global_power)[0] if var * global_power[i] > level[i]]
answer = {"peaks": (1 / freqs)[peaks]}
