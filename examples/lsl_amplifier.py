"""A simulated amplifier: a stream of the Lab Streaming Layer to experiment with.

Two electrodes, sampled at 250 Hz, share a 10 Hz rhythm in noise, which switches on and off every
five seconds.

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


def stream_info(name: str) -> pylsl.StreamInfo:
    """Describe the stream with the usual LSL metadata: a label and a unit per channel."""
    info = pylsl.StreamInfo(name, "EEG", len(ELECTRODES), FS_HZ, "float32", name)
    channels = info.desc().append_child("channels")
    for label in ELECTRODES:
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", "microvolts")
    return info


def main(name: str = "amplifier", seconds: str = "inf") -> None:
    """Stream in real time for a number of seconds."""
    outlet = pylsl.StreamOutlet(stream_info(name), chunk_size=CHUNK)
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
