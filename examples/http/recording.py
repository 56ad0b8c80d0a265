"""Upload a recording, save the coherence of its channels, and remove it from the server.

Needs numpy and requests, and no package of this project::

    [CWT_KEY=...] python recording.py FILE.npz [http://HOST:PORT]
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import requests

FILE = Path(sys.argv[1])
GATEWAY = sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8000"
STREAM = f"{GATEWAY}/api/v1/streams/recording-{time.time_ns()}"
FS_HZ = 100


def send(
    method: str,
    url: str,
    params: dict[str, Any] | None = None,
    data: bytes | None = None,
) -> requests.Response:
    """Send a request and return the response; exit with the error if it is refused."""
    headers = {
        # The key, for a gateway that needs one.
        "Authorization": f"Bearer {os.environ.get('CWT_KEY', '')}",
        "Content-Type": "application/octet-stream",
    }
    response = requests.request(method, url, params=params, data=data, headers=headers, timeout=90)
    if not response.ok:
        sys.exit(f"{response.status_code}: {response.json()['detail']}")
    return response


# Make a CSV file with a header line: two channels share a 5 Hz rhythm in noise.
rhythm = np.sin(2 * np.pi * 5 * np.arange(60 * FS_HZ) / FS_HZ)
signals = rhythm + np.random.default_rng(1).normal(size=(2, len(rhythm)))
rows = "\n".join(f"{left:.6f},{right:.6f}" for left, right in signals.T)
accepted = send(
    "POST",
    f"{STREAM}/recording",
    {"filename": "example.csv", "fs_hz": FS_HZ, "coherence": "left,right", "band": "1,20"},
    f"left,right\n{rows}\n".encode(),
).json()

while True:
    status = send("GET", STREAM).json()
    if (status["next_sample"] or 0) >= accepted["n_samples"] and not status["lag"]["windows"]:
        break
    time.sleep(0.2)

FILE.write_bytes(send("GET", f"{STREAM}/export", {"format": "npz"}).content)
with np.load(FILE) as export:
    # The arrays are (channel set, frequency, time).
    coherence = np.ma.MaskedArray(export["values"], export["mask"])[0]
    strongest = int(np.ma.argmax(coherence.mean(axis=1)))
    print(f"most coherent at {export['freqs_hz'][strongest]:.2f} Hz")

send("DELETE", STREAM)
print(f"removed {send('DELETE', f'{STREAM}/data').json()['results']} results")
