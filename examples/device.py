"""A device that publishes samples through a plain TCP socket.

The NATS protocol is text based, so a microcontroller with a network can do the same in C. The
program defines the stream ``bench`` and publishes ten seconds of a 5 Hz tone. It waits for the
acknowledgement of each chunk; after an error, run it again: the server discards chunks that it
already has. Start the system with ``pycwt-mod up``, then run:

    python examples/device.py [HOST [PORT]]
"""

from __future__ import annotations

import json
import math
import secrets
import socket
import struct
import sys
from io import BufferedRWPair

FS_HZ = 100
CHUNK = 50
DEFINITION = {
    "name": "bench",
    "fs_hz": FS_HZ,
    "channels": [{"name": "tone", "unit": "counts"}],
    "analyses": [
        {
            "name": "power",
            "op": "cwt",
            "channels": ["tone"],
            "fmin_hz": 2,
            "fmax_hz": 16,
            "hop_s": 1,
            "quantity": "power",
        }
    ],
}
INBOX = "_INBOX.device1"


def publish(
    wire: BufferedRWPair, subject: str, body: bytes, headers: dict[str, str] | None = None
) -> None:
    """Send one message, whose reply goes to INBOX."""
    if headers is None:
        wire.write(f"PUB {subject} {INBOX} {len(body)}\r\n".encode() + body + b"\r\n")
    else:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"NATS/1.0\r\n{lines}\r\n".encode()
        sizes = f"{len(head)} {len(head) + len(body)}"
        wire.write(f"HPUB {subject} {INBOX} {sizes}\r\n".encode() + head + body + b"\r\n")
    wire.flush()


def read_reply(wire: BufferedRWPair) -> bytes:
    """Return the body of the next message; answer pings until it arrives."""
    while line := wire.readline():
        words = line.split()
        if words[0] == b"PING":
            wire.write(b"PONG\r\n")
            wire.flush()
        elif words[0] in (b"MSG", b"HMSG"):
            head = int(words[-2]) if words[0] == b"HMSG" else 0
            whole = wire.read(int(words[-1]) + 2)
            return whole[head:-2]
        elif words[0] == b"-ERR":
            raise ConnectionError(line.decode().strip())
    raise ConnectionError("the server closed the connection")


def main(host: str = "127.0.0.1", port: str = "4222") -> None:
    """Define the stream, then publish to it."""
    with socket.create_connection((host, int(port)), timeout=5) as link:
        wire = link.makefile("rwb")
        wire.readline()  # INFO: name, version and limits of the server
        wire.write(b'CONNECT {"verbose": false, "headers": true}\r\n')
        wire.write(f"SUB {INBOX} 1\r\n".encode())

        publish(wire, "cwt.stream.put", json.dumps(DEFINITION).encode())
        status = json.loads(read_reply(wire))
        if "error" in status:
            sys.exit(status["error"]["message"])

        nonce = secrets.token_hex(8)  # no other client can use up the ids of this run
        for first in range(0, 10 * FS_HZ, CHUNK):
            samples = [
                round(1000 * math.sin(2 * math.pi * 5 * n / FS_HZ))
                for n in range(first, first + CHUNK)
            ]
            headers = {
                "Content-Type": "application/octet-stream",
                "Cwt-Dtype": "<i2",
                "Cwt-Channels": "1",
                "Cwt-Epoch": "boot-1",
                "Cwt-First-Sample": str(first),
                "Nats-Msg-Id": f"bench/boot-1/{first}/{nonce}",
            }
            body = struct.pack(f"<{CHUNK}h", *samples)
            publish(wire, "cwt.signal.bench", body, headers)
            acknowledgement = json.loads(read_reply(wire))
            print(f"samples {first} to {first + CHUNK - 1}: {acknowledgement}")


if __name__ == "__main__":
    main(*sys.argv[1:])
