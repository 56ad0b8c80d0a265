"""Send two channels over a WebSocket as they are measured, and print their coherence at 10 Hz.

Needs numpy and websockets, and no package of this project::

    [CWT_KEY=...] python live.py [ws://HOST:PORT]
"""

import asyncio
import json
import os
import sys
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

GATEWAY = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8000"
FS_HZ = 250
CHUNK = 25
SECONDS = 6


async def send(socket: ClientConnection) -> None:
    """Send chunks in real time, as a device does."""
    random = np.random.default_rng(1)
    for first in range(0, SECONDS * FS_HZ, CHUNK):
        rhythm = np.sin(2 * np.pi * 10 * np.arange(first, first + CHUNK) / FS_HZ)
        first_signal, second_signal = rhythm + random.normal(size=(2, CHUNK))
        message = {"signal1": first_signal.tolist(), "signal2": second_signal.tolist()}
        await socket.send(json.dumps({"type": "data", **message}))
        await asyncio.sleep(CHUNK / FS_HZ)
    await socket.send(json.dumps({"type": "end"}))


async def main() -> None:
    """Run until the signal has ended and its last results have arrived."""
    # The key, for a gateway that needs one.
    headers = {"Authorization": f"Bearer {os.environ.get('CWT_KEY', '')}"}
    url = f"{GATEWAY}/ws/stream/wct"
    async with connect(url, additional_headers=headers, max_size=None) as socket:
        config = {"type": "config", "mode": "stream", "dt": 1 / FS_HZ, "fmin_hz": 4, "fmax_hz": 40}
        await socket.send(json.dumps(config))
        print(json.loads(await socket.recv())["type"])
        sending = asyncio.create_task(send(socket))
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "error":
                sys.exit(message["message"])
            if message["type"] == "end":
                break
            if message["type"] == "result":
                show(message["result"])
        await sending


def show(result: dict[str, Any]) -> None:
    """Print the newest value of the row nearest to 10 Hz."""
    freqs_hz = np.array(result["freqs_hz"])
    if not freqs_hz.min() <= 10 <= freqs_hz.max():
        return
    row = int(np.abs(freqs_hz - 10).argmin())
    time_s = (result["t"]["first_sample"] + result["t"]["step"] * (result["t"]["n"] - 1)) / FS_HZ
    coherence = result["values"][row][-1]
    value = "missing" if coherence is None else f"{coherence:.2f}"
    print(f"{time_s:.2f} s: coherence at {freqs_hz[row]:.1f} Hz {value}")


asyncio.run(main())
