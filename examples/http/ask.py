"""Ask for the coherence of two signals over HTTP, and print where it exceeds its level.

Needs numpy and requests, and nothing of this project::

    python ask.py [http://HOST:PORT]
"""

import io
import sys

import numpy as np
import requests

GATEWAY = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
FS_HZ = 100

time_s = np.arange(1000) / FS_HZ
noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 1000))
question = {
    "signal1": (np.sin(2 * np.pi * 5 * time_s) + noise[0]).tolist(),
    "signal2": (np.sin(2 * np.pi * 5 * time_s - 1) + noise[1]).tolist(),
    "dt": 1 / FS_HZ,
    "dj": 1 / 12,
    "seed": 7,
}
answer = requests.post(
    f"{GATEWAY}/api/v1/wavelet/wct",
    json=question,
    # Arrays as numpy has them; without this header, nested lists in JSON.
    headers={"Accept": "application/x-npz"},
    timeout=60,
)
if not answer.ok:
    sys.exit(f"{answer.status_code}: {answer.json()['detail']}")
found = np.load(io.BytesIO(answer.content))

# WCT is (frequency, time); periods longer than coi feel the ends of the signals.
middle = found["WCT"][:, 500]
sure = 1 / found["freqs"] < found["coi"][500]
for k in np.flatnonzero((middle > found["signif"]) & sure):
    print(f"{found['freqs'][k]:.2f} Hz: {middle[k]:.3f} > {found['signif'][k]:.3f}")
