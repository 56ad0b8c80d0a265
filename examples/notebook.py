"""Use the system from a notebook, without an event loop. Each ``# %%`` begins a cell.

Start the system with ``pycwt-mod up``, then run the file as a whole or cell by cell:

    python examples/notebook.py [URL]
"""

# %% Connect
import sys

import numpy as np

from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_client import Scalogram, blocking

client = blocking.connect(sys.argv[1] if len(sys.argv) > 1 else None, name="notebook")

# %% Make a chirp from 2 to 20 Hz: twenty seconds at 100 Hz
fs_hz = 100.0
t = np.arange(2000) / fs_hz
chirp = np.sin(2 * np.pi * (2 * t + 0.45 * t**2)).astype(np.float32)

# %% Query: send a whole signal, receive its transform
reply = client.cwt(chirp, 1 / fs_hz, dj=1 / 12)
print(f"transform of {reply.coefs.shape[1]} samples at {reply.coefs.shape[0]} scales")

# %% Or stream: define a stream and publish to it
power = AnalysisSpec(
    name="power", op="cwt", channels=("chirp",), fmin_hz=2, fmax_hz=25, hop_s=1, quantity="power"
)
channels = (Channel(name="chirp"),)
client.put_stream(
    StreamDefinition(name="notebook", fs_hz=fs_hz, channels=channels, analyses=(power,))
)
start = client.next_seq()
with client.publisher("notebook") as publisher:
    for sample in chirp:  # the publisher collects samples into chunks
        publisher.push(np.array([sample]))
    publisher.finish()

# %% Read results until no more arrive
scalogram = Scalogram("notebook", "power", ("chirp",))
with client.results("notebook", "power", start_seq=start) as results:
    try:
        while True:
            scalogram.add(results.read(timeout_s=5))
    except TimeoutError:
        pass

# %% Find the frequency of the chirp
picture = scalogram.resample(9, end=len(chirp))
strength = np.where(picture.mask, -np.inf, picture.values)
for column in range(1, 8):
    strongest = picture.freqs_hz[strength[:, column].argmax()]
    true = 2 + 0.9 * picture.times_s[column]
    print(f"{picture.times_s[column]:5.2f} s: {strongest:5.2f} Hz, true {true:5.2f} Hz")

# %% Disconnect
client.close()
