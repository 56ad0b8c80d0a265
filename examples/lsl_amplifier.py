"""An amplifier that is not there: a stream of the Lab Streaming Layer, for trying things out.

Two electrodes at 250 Hz share a 10 Hz rhythm that comes and goes every five seconds, among noise.

    pip install '.[lsl]'  # in a clone of the repository
    python examples/lsl_amplifier.py [NAME [SECONDS]]
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pylsl

FS_HZ = 250
CHUNK = 5  # 20 ms
ELECTRODES = ("C3", "C4")


def described(name: str) -> pylsl.StreamInfo:
    """Say what is streamed, in the way that everybody does."""
    info = pylsl.StreamInfo(name, "EEG", len(ELECTRODES), FS_HZ, "float32", name)
    channels = info.desc().append_child("channels")
    for label in ELECTRODES:
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", "microvolts")
    return info


def main(name: str = "amplifier", seconds: str = "inf") -> None:
    """Stream in real time."""
    outlet = pylsl.StreamOutlet(described(name), chunk_size=CHUNK)
    rng = np.random.default_rng()
    begin, sent = pylsl.local_clock(), 0
    while sent < float(seconds) * FS_HZ:
        sent += CHUNK
        time.sleep(max(begin + sent / FS_HZ - pylsl.local_clock(), 0))
        t = np.arange(sent - CHUNK, sent)[:, None] / FS_HZ
        rhythm = 20 * np.sin(2 * np.pi * 10 * t - np.array([0, np.pi / 4])) * (t % 10 < 5)
        samples = rhythm + 15 * rng.standard_normal((CHUNK, len(ELECTRODES)))
        outlet.push_chunk(samples.astype(np.float32), begin + sent / FS_HZ)


if __name__ == "__main__":
    main(*sys.argv[1:])
