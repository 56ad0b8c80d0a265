"""Compute the coherence of two signals over HTTP, and print where it is significant.

Needs numpy and requests, and no package of this project::

    [CWT_KEY=...] python ask.py [http://HOST:PORT]
"""

import io
import os
import sys

import numpy as np
import requests

GATEWAY = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
FS_HZ = 100

time_s = np.arange(1000) / FS_HZ
noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 1000))
request = {
    "signal1": (np.sin(2 * np.pi * 5 * time_s) + noise[0]).tolist(),
    "signal2": (np.sin(2 * np.pi * 5 * time_s - 1) + noise[1]).tolist(),
    "dt": 1 / FS_HZ,
    "dj": 1 / 12,
    "seed": 7,
}
response = requests.post(
    f"{GATEWAY}/api/v1/wavelet/wct",
    json=request,
    headers={
        # The key, for a gateway that needs one.
        "Authorization": f"Bearer {os.environ.get('CWT_KEY', '')}",
        # Request a NumPy archive; without this header, the reply is JSON with nested lists.
        "Accept": "application/x-npz",
    },
    timeout=60,
)
if not response.ok:
    sys.exit(f"{response.status_code}: {response.json()['detail']}")
result = np.load(io.BytesIO(response.content))

# WCT is (frequency, time). The ends of the signals affect periods longer than coi.
middle = result["WCT"][:, 500]
unaffected = 1 / result["freqs"] < result["coi"][500]
for k in np.flatnonzero((middle > result["signif"]) & unaffected):
    print(f"{result['freqs'][k]:.2f} Hz: {middle[k]:.3f} > {result['signif'][k]:.3f}")
