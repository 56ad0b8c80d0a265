"""Sans-I/O protocol for the prompt of an ELM11: received bytes in, replies and bytes to send out.

Theory of operation. The device has a single serial line: it echoes its input, prints results and
errors for people, and then a prompt. Input is allowed only between a prompt and the end of the next
line; a ``q`` that arrives while code runs stops the code. So the dialogue consists of turns. `ask`
sends one line of Lua that makes the device print

    =<nonce> <CRC-32 of nonce and payload> <payload>

and the next prompt ends the turn. Then `reply` is the payload; without such a line, for any reason,
it is None, and `heard` has the received lines. The caller may repeat the line, since this project's
program on the device stores its last reply. In no sent line does the nonce follow an ``=``, so an
echo is not mistaken for a reply.

From any other state, `interrupt` returns to a prompt: ``q`` stops running code, the line end
produces a prompt, and its form shows what else is needed.

    prompt   meaning           what is sent
    ``$ ``   ready for a line  nothing
    ``$$ ``  continuation      ``]]!``: ends a long string, and is an error elsewhere
    ``/ ``   command mode      ``exit``

With several cores, their number precedes the prompt, as in ``[ #1 ] $ ``.
"""

from __future__ import annotations

import re
import zlib
from collections import deque
from enum import Enum, auto
from typing import Final

from cwt_hwbridge.elm11.terminal import TerminalText

__all__ = ["Phase", "Repl", "checksum"]

#: Number of received lines to keep for error messages.
HEARD = 12

_PROMPT: Final = re.compile(r"^(?:\[ #\d+ \] )?(\$|\$\$|/) $")
_REPLY: Final = re.compile(r"=([0-9a-f]{4}) ([0-9a-f]{8}) (.*)$")


class Phase(Enum):
    """The state of the dialogue."""

    #: The state of the device is unknown.
    LOST = auto()
    #: A prompt was requested.
    CALLING = auto()
    #: A line may be sent.
    READY = auto()
    #: A line was sent, and its reply is pending.
    ASKED = auto()


#: The next phase after each prompt, and the bytes to send.
_AFTER: Final = {
    (Phase.CALLING, "$"): (Phase.READY, b""),
    (Phase.CALLING, "$$"): (Phase.CALLING, b"]]!\r"),
    (Phase.CALLING, "/"): (Phase.CALLING, b"exit\r"),
    (Phase.ASKED, "$"): (Phase.READY, b""),
    (Phase.ASKED, "$$"): (Phase.CALLING, b"]]!\r"),
    (Phase.ASKED, "/"): (Phase.CALLING, b"exit\r"),
}


def checksum(text: str) -> str:
    """Return the CRC-32 of `text` as the device writes it."""
    return f"{zlib.crc32(text.encode('ascii')):08x}"


class Repl:
    """The host's side of the dialogue; has no clock, so timeouts are up to the caller."""

    def __init__(self) -> None:
        self.phase = Phase.LOST
        #: Payload of the reply to the last line, if it arrived intact and with its nonce.
        self.reply: str | None = None
        self._text = TerminalText()
        self._heard: deque[str] = deque(maxlen=HEARD)
        self._nonce = ""
        self._sending = b""

    @property
    def heard(self) -> tuple[str, ...]:
        """The last lines since the turn began, oldest first, the unfinished one at the end."""
        return (*self._heard, self._text.tail) if self._text.tail else tuple(self._heard)

    def interrupt(self) -> bytes:
        """Return to a prompt from any state; return the bytes to send."""
        self.phase = Phase.CALLING
        self._heard.clear()
        self._sending = b""
        return b"q\r"

    def ask(self, nonce: str, line: str) -> bytes:
        """Begin a turn; return the bytes to send.

        Raises
        ------
        RuntimeError
            The device is not at a prompt.
        """
        if self.phase is not Phase.READY:
            raise RuntimeError(f"{self.phase=} is not the time to ask")
        self.phase = Phase.ASKED
        self._heard.clear()
        self._nonce, self.reply = nonce, None
        return line.encode("ascii") + b"\r"

    def give_up(self) -> None:
        """Abandon a turn that takes too long; call `interrupt` next."""
        self.phase = Phase.LOST

    def receive(self, data: bytes) -> None:
        """Process received bytes; update `phase` and `reply`, and the bytes for `to_send`."""
        for byte in data:
            line, may_be_prompt = self._text.take(byte)
            if line:
                self._listen(line)
            if may_be_prompt:
                self._look_at(self._text.tail)

    def to_send(self) -> bytes:
        """Return the bytes to send to reach the prompt, once."""
        data, self._sending = self._sending, b""
        return data

    def _listen(self, line: str) -> None:
        self._heard.append(line)
        match = _REPLY.search(line)
        if match and self.phase is Phase.ASKED and match[1] == self._nonce:
            payload = match[3]
            if checksum(match[1] + payload) == match[2]:
                self.reply = payload

    def _look_at(self, tail: str) -> None:
        match = _PROMPT.match(tail)
        if match and (self.phase, match[1]) in _AFTER:
            self.phase, self._sending = _AFTER[self.phase, match[1]]
