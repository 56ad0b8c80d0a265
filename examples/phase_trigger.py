"""Trigger at a chosen phase of the heart rhythm in a recording, and print the phase achieved.

A closed loop sees the samples as they arrive, in chunks of 40 ms. Each estimate of the phase now
predicts when the chosen phase comes next; the trigger is set if that is before the next chunk, and
if the phase is known well enough. The exact phase is computed from the whole recording afterwards.

    python examples/phase_trigger.py
"""

from pathlib import Path

import numpy as np

from pycwt_mod import Provisional, StreamingCwt, cwt

RECORDING = Path(__file__).parents[1] / "cli/cwt_cli/recordings/physio_mimic037_125hz.csv.gz"
FS_HZ, CHUNK, PRESSURE = 125.0, 5, 1
FREQ_HZ = 2.08  # the heart rate in this recording
TARGET = np.pi / 2  # a quarter of a period after the maximum
MOST_UNCERTAIN = 0.4  # radians: no trigger if the 95 % interval of the phase is wider than this


def main() -> None:
    """Play the recording, set triggers, and compare their phases with the exact ones."""
    recording = np.genfromtxt(RECORDING, delimiter=",", skip_header=3)
    pressure = recording[: 240 * int(FS_HZ), PRESSURE]

    stream = StreamingCwt(
        fs_hz=FS_HZ, fmin_hz=FREQ_HZ, fmax_hz=FREQ_HZ, voices_per_octave=1, hop_s=2,
        provisional=Provisional(delay_s=0),
    )  # fmt: skip
    per_sample = 2 * np.pi * FREQ_HZ / FS_HZ
    triggers, refused = [], 0
    for start in range(0, len(pressure), CHUNK):
        (now,) = stream.push(pressure[start : start + CHUNK]).estimates
        if np.isnan(now.values[0]):
            continue  # the model needs a few seconds of signal
        wait = (TARGET - now.phase[0]) % (2 * np.pi) / per_sample
        if wait < CHUNK:
            if now.phase_halfwidth[0] > MOST_UNCERTAIN:
                refused += 1
            else:
                triggers.append(now.newest_sample + wait)

    exact = cwt(pressure - pressure.mean(), 1 / FS_HZ, freqs=[FREQ_HZ]).coefs[0]
    reach = 5.5 * FS_HZ / FREQ_HZ  # the exact phase needs this much of the future
    inside = np.array([each for each in triggers if each < len(pressure) - reach])
    nearest = np.rint(inside).astype(int)
    phase = np.angle(exact[nearest]) + per_sample * (inside - nearest)
    error = np.angle(np.exp(1j * (phase - TARGET)))
    print(f"{len(inside)} triggers at {TARGET:.2f} rad, {refused} refused")
    print(f"mean error {error.mean():+.3f} rad, standard deviation {error.std():.3f} rad")
    print(f"95 % of the errors are below {np.quantile(abs(error), 0.95):.2f} rad")


if __name__ == "__main__":
    main()
