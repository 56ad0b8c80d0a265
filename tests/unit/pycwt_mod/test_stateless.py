"""Provisional estimates without state: the same as those of a stream."""

from __future__ import annotations

import numpy as np

from pycwt_mod import Provisional, StreamingCwt, VoiceGrid, rednoise
from pycwt_mod.streaming import OctaveState, ProvisionalPlan
from pycwt_mod.wavelets import Morlet

FS, CHUNK, CHANNELS = 100.0, 16, 2
OPTIONS = Provisional(max_error=0.4)
GRID = VoiceGrid(fs_hz=FS, fmin_hz=3.2, fmax_hz=10.0, voices_per_octave=4, wavelet=Morlet())


def test_estimates_and_calibration_equal_those_of_a_stream() -> None:
    signal = np.stack([rednoise(2400, 0.8, rng=seed) for seed in (1, 2)], axis=1)
    signal[1500:1520, 1] = np.nan
    stream = StreamingCwt(
        fs_hz=FS, fmin_hz=3.2, fmax_hz=10.0, voices_per_octave=4, hop_s=1, channels=CHANNELS,
        provisional=OPTIONS,
    )  # fmt: skip
    plan = ProvisionalPlan(grid=GRID, options=OPTIONS)
    states: list[OctaveState | None] = [None] * GRID.n_octaves
    for end in range(CHUNK, len(signal) + 1, CHUNK):
        expected = stream.push(signal[end - CHUNK : end]).estimates
        for octave, interval in enumerate(plan.intervals):
            if end % interval == 0:
                samples = signal[max(end - plan.fit_samples[octave], 0) : end]
                states[octave], calibration = plan.fit(octave, states[octave], end, samples)
                compared = [each.compared for each in stream.calibration[octave]]
                assert [each.compared for each in calibration] == compared
        newest = signal[max(end - plan.estimate_samples, 0) : end]
        for mine, theirs in zip(plan.estimates(states, end, newest), expected, strict=True):
            np.testing.assert_array_equal(mine.samples, theirs.samples)
            np.testing.assert_allclose(mine.values, theirs.values, rtol=1e-9)
            np.testing.assert_allclose(mine.std, theirs.std, rtol=1e-9)
    assert min(each.compared for octave in stream.calibration for each in octave) > 100
