# A device for MicroPython that uses only sockets: it publishes ten seconds of a 5 Hz tone in raw
# int16 chunks. It sends each chunk again until the log acknowledges it, and reconnects when the
# connection is lost. Connect the board to a network first, then call `main` with the address of the
# server. On a computer:
#
#     micropython device.py [HOST [PORT [STREAM]]]
import binascii
import math
import os
import socket
import sys
import time

FS_HZ = 100
CHUNK = 50
CHUNKS = 20
TRIES = 20
SILENCE_S = 2
EPOCH = "boot-1"
INBOX = "_INBOX.micropython"
DEFINITION = (
    '{"name":"%s","fs_hz":100,"channels":[{"name":"tone","unit":"counts"}],'
    '"analyses":[{"name":"power","op":"cwt","channels":["tone"],"fmin_hz":2,"fmax_hz":16,'
    '"hop_s":1,"quantity":"power"}]}'
)


def message(subject, body, headers=None):
    """Return the bytes that publish `body`; the reply goes to INBOX."""
    if headers is None:
        return ("PUB %s %s %d\r\n" % (subject, INBOX, len(body))).encode() + body + b"\r\n"
    head = ("NATS/1.0\r\n" + headers + "\r\n").encode()
    sizes = "%d %d" % (len(head), len(head) + len(body))
    return ("HPUB %s %s %s\r\n" % (subject, INBOX, sizes)).encode() + head + body + b"\r\n"


class Link:
    """A connection to the server."""

    def __init__(self, host, port):
        self.socket = socket.socket()
        self.socket.settimeout(SILENCE_S)  # so that a lost reply is detected
        self.socket.connect(socket.getaddrinfo(host, port)[0][-1])
        self.left = b""
        self.socket.send(b'CONNECT {"verbose":false,"headers":true}\r\n')
        self.socket.send(("SUB %s 1\r\n" % INBOX).encode())

    def answer(self):
        """Return the body of the next message."""
        while True:
            words = self.line().split()
            if words[0] == b"PING":
                self.socket.send(b"PONG\r\n")
            elif words[0] in (b"MSG", b"HMSG"):
                head = int(words[-2]) if words[0] == b"HMSG" else 0
                return self.take(int(words[-1]) + 2)[head:-2]
            elif words[0] == b"-ERR":
                raise OSError(words)

    def line(self):
        while b"\r\n" not in self.left:
            self.more()
        line, self.left = self.left.split(b"\r\n", 1)
        return line

    def take(self, count):
        while len(self.left) < count:
            self.more()
        taken, self.left = self.left[:count], self.left[count:]
        return taken

    def more(self):
        data = self.socket.recv(512)
        if not data:
            raise OSError("the server closed the connection")
        self.left += data

    def send(self, data):
        while data:
            data = data[self.socket.send(data) :]


class Device:
    """Sends messages until they are acknowledged; reconnects as often as necessary."""

    def __init__(self, host, port):
        self.address = (host, port)
        self.link = None

    def persist(self, data):
        """Send a message until a reply without an error arrives, and return the reply."""
        for _ in range(TRIES):
            try:
                if self.link is None:
                    self.link = Link(*self.address)
                self.link.send(data)
                body = self.link.answer()
                if b'"error"' not in body:
                    return body.decode()
                print(body)
            except OSError as error:
                print("again:", error)
            # After a timeout too: a late reply would be taken for the next one.
            if self.link is not None:
                self.link.socket.close()
                self.link = None
            time.sleep(0.2)
        raise SystemExit("given up")


def main(host="127.0.0.1", port="4222", stream="micropython"):
    """Define the stream, then publish to it."""
    device = Device(host, int(port))
    device.persist(message("cwt.stream.put", (DEFINITION % stream).encode()))
    nonce = binascii.hexlify(os.urandom(8)).decode()  # no other client can use up the ids
    for first in range(0, CHUNKS * CHUNK, CHUNK):
        samples = bytearray()
        for n in range(first, first + CHUNK):
            sample = round(1000 * math.sin(2 * math.pi * 5 * n / FS_HZ)) & 0xFFFF
            samples.append(sample & 0xFF)
            samples.append(sample >> 8)
        headers = (
            "Content-Type: application/octet-stream\r\nCwt-Dtype: <i2\r\n"
            "Cwt-Channels: 1\r\n"
            "Cwt-Epoch: %s\r\nCwt-First-Sample: %d\r\nNats-Msg-Id: %s/%s/%d/%s\r\n"
        ) % (EPOCH, first, stream, EPOCH, first, nonce)
        kept = device.persist(message("cwt.signal." + stream, bytes(samples), headers))
        print("samples %d to %d: %s" % (first, first + CHUNK - 1, kept))


if __name__ == "__main__":
    main(*sys.argv[1:])
