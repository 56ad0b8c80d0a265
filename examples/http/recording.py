"""Upload a recording, save the coherence of its channels, and remove it from the server again.

Needs numpy and requests, and nothing of this project::

    python recording.py FILE.npz [http://HOST:PORT]
"""

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


def ask(
    method: str,
    url: str,
    params: dict[str, Any] | None = None,
    data: bytes | None = None,
) -> requests.Response:
    """Send a request; end with the reason if it is refused."""
    headers = {"Content-Type": "application/octet-stream"}
    answer = requests.request(method, url, params=params, data=data, headers=headers, timeout=90)
    if not answer.ok:
        sys.exit(f"{answer.status_code}: {answer.json()['detail']}")
    return answer


# A CSV file with the names of its channels: a common rhythm of 5 Hz in noise.
rhythm = np.sin(2 * np.pi * 5 * np.arange(60 * FS_HZ) / FS_HZ)
signals = rhythm + np.random.default_rng(1).normal(size=(2, len(rhythm)))
rows = "\n".join(f"{left:.6f},{right:.6f}" for left, right in signals.T)
accepted = ask(
    "POST",
    f"{STREAM}/recording",
    {"filename": "example.csv", "fs_hz": FS_HZ, "coherence": "left,right", "band": "1,20"},
    f"left,right\n{rows}\n".encode(),
).json()

while True:
    status = ask("GET", STREAM).json()
    if (status["next_sample"] or 0) >= accepted["n_samples"] and not status["lag"]["windows"]:
        break
    time.sleep(0.2)

FILE.write_bytes(ask("GET", f"{STREAM}/export", {"format": "npz"}).content)
with np.load(FILE) as export:
    # (channel set, frequency, time)
    coherence = np.ma.MaskedArray(export["values"], export["mask"])[0]
    strongest = int(np.ma.argmax(coherence.mean(axis=1)))
    print(f"most coherent at {export['freqs_hz'][strongest]:.2f} Hz")

ask("DELETE", STREAM)
print(f"removed {ask('DELETE', f'{STREAM}/data').json()['results']} results")
