"""A device behind a pseudo-terminal, for a real serial driver, with faults to inject."""

from __future__ import annotations

import os
import pty
import select
import termios
import threading
import time
import tty
from pathlib import Path
from typing import Literal, Self

from tests.hwpeer.peer import DevicePeer
from tests.hwpeer.trouble import Trouble

Mood = Literal["normal", "silent", "garbage", "flood"]

#: The rates of pseudo-terminals are names only; these are the ones that the driver tries.
_RATES = {termios.B115200: 234, termios.B1000000: 27, termios.B3000000: 9}


class PtyDevice:
    """Serves a `DevicePeer` at `path`, a link to the terminal, in a thread of its own.

    The link stands for the name that udev gives a device: it goes when the device is unplugged,
    and comes back when it is plugged in again.
    """

    def __init__(
        self, path: Path, peer: DevicePeer | None = None, *, trouble: Trouble | None = None
    ) -> None:
        self.path = path
        self.peer = peer or DevicePeer()
        self.trouble = trouble or Trouble(0.0)
        self.mood: Mood = "normal"
        #: Seconds that every answer is late.
        self.delay_s = 0.0
        self.fed = 0
        #: After this total number of received bytes, the device is unplugged, or reset.
        self.unplug_after: int | None = None
        self.reset_after: int | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._master = self._slave = -1
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self.plug()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        self.unplug()

    def plug(self) -> None:
        """Appear as a port."""
        with self._lock:
            self._master, self._slave = pty.openpty()
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            self.path.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        """Disappear, also for processes that have the port open."""
        with self._lock:
            self.path.unlink(missing_ok=True)
            for each in (self._master, self._slave):
                if each >= 0:
                    os.close(each)
            self._master = self._slave = -1

    def _serve(self) -> None:
        while not self._stop.is_set():
            master = self._master
            if master < 0:
                self._stop.wait(0.005)
                continue
            try:
                self._exchange(master)
            except (OSError, ValueError, termios.error):
                continue  # unplugged meanwhile

    def _exchange(self, master: int) -> None:
        if self.mood == "flood":
            self._write(master, os.urandom(4096).replace(b"\x00", b"\x01"))
        if not select.select([master], [], [], 0.02)[0]:
            return
        data = os.read(master, 65_536)
        self.fed += len(data)
        if self.reset_after is not None and self.fed >= self.reset_after:
            self.reset_after = None
            self.peer.reset()
        if self.unplug_after is not None and self.fed >= self.unplug_after:
            self.unplug_after = None
            self.unplug()
            return
        if self.mood == "silent":
            return
        if self.mood == "garbage":
            self._write(master, b"\x1b[0mboot> \x00" + data[::-1])
            return
        if self._host_divisor() not in (None, self.peer.divisor):
            data = b"\xfe\x00" * len(data)
        answer = self.peer.feed(self.trouble.through(data), time.monotonic())
        self._stop.wait(self.delay_s)
        self._write(master, self.trouble.through(answer))

    def _host_divisor(self) -> int | None:
        return _RATES.get(termios.tcgetattr(self._slave)[4])

    def _write(self, master: int, data: bytes) -> None:
        while data and not self._stop.is_set() and master == self._master:
            if select.select([], [master], [], 0.02)[1]:
                data = data[os.write(master, data) :]
            elif self.mood == "flood":
                return
