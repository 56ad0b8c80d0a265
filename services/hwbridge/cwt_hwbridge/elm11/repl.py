"""The prompt of an ELM11 without input or output: bytes in, a reply out, bytes to send.

Theory of operation. The device has one line for everything: it echoes what it gets, shows
results and errors as a person would want them, and then a prompt. Only between a prompt and the
end of the next line may anything be sent; a ``q`` that arrives while code runs stops it. So the
conversation goes in turns. `ask` sends one line of Lua that makes the device print

    =<nonce> <CRC-32 of nonce and payload> <payload>

and the prompt after it ends the turn. Then `reply` is the payload; without such a line, for
whatever reason, it is None, and `heard` is what came instead. The caller may repeat the line, since
this project's program on the device keeps its last reply. In no line that is sent does the nonce
follow an ``=``, so an echo is no reply.

From any other state `interrupt` leads back to a prompt: ``q`` stops what runs, the line end
brings a prompt, and what prompt it is says what else is in the way.

    prompt   meaning           what is sent
    ``$ ``   ready for a line  nothing
    ``$$ ``  a line goes on    ``]]!``: ends a long string, and is an error anywhere else
    ``/ ``   command mode      ``exit``

Several cores put their number before a prompt, as in ``[ #1 ] $ ``.
"""

from __future__ import annotations

import re
import zlib
from collections import deque
from enum import Enum, auto
from typing import Final

from cwt_hwbridge.elm11.terminal import TerminalText

__all__ = ["Phase", "Repl", "checksum"]

#: Lines kept to tell what a device said when it did not answer.
HEARD = 12

_PROMPT: Final = re.compile(r"^(?:\[ #\d+ \] )?(\$|\$\$|/) $")
_REPLY: Final = re.compile(r"=([0-9a-f]{4}) ([0-9a-f]{8}) (.*)$")


class Phase(Enum):
    """Whose turn it is."""

    #: Nothing is known of the device.
    LOST = auto()
    #: A prompt was asked for.
    CALLING = auto()
    #: A line may be sent.
    READY = auto()
    #: A line was sent, and its reply is awaited.
    ASKED = auto()


#: What a prompt means: the next phase, and what is to be sent.
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
    """The host's half of the conversation; knows no clock, so patience is the caller's."""

    def __init__(self) -> None:
        self.phase = Phase.LOST
        #: The payload of the reply to the last line, when it came whole and with its nonce.
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
        """Begin again from whatever state; return what to send."""
        self.phase = Phase.CALLING
        self._heard.clear()
        self._sending = b""
        return b"q\r"

    def ask(self, nonce: str, line: str) -> bytes:
        """Begin a turn; return what to send.

        Raises
        ------
        RuntimeError
            It is not the host's turn.
        """
        if self.phase is not Phase.READY:
            raise RuntimeError(f"{self.phase=} is not the time to ask")
        self.phase = Phase.ASKED
        self._heard.clear()
        self._nonce, self.reply = nonce, None
        return line.encode("ascii") + b"\r"

    def give_up(self) -> None:
        """Leave a turn that takes too long; only `interrupt` leads on."""
        self.phase = Phase.LOST

    def receive(self, data: bytes) -> None:
        """Take what came; `phase` and `reply` follow, and `to_send` says what is to be sent."""
        for byte in data:
            line, may_be_prompt = self._text.take(byte)
            if line:
                self._listen(line)
            if may_be_prompt:
                self._look_at(self._text.tail)

    def to_send(self) -> bytes:
        """Return what has to be sent to get to the prompt, once."""
        data, self._sending = self._sending, b""
        return data

    def _listen(self, line: str) -> None:
        self._heard.append(line)
        found = _REPLY.search(line)
        if found and self.phase is Phase.ASKED and found[1] == self._nonce:
            payload = found[3]
            if checksum(found[1] + payload) == found[2]:
                self.reply = payload

    def _look_at(self, tail: str) -> None:
        found = _PROMPT.match(tail)
        if found and (self.phase, found[1]) in _AFTER:
            self.phase, self._sending = _AFTER[self.phase, found[1]]
