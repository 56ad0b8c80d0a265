"""Run the dialogue with an ELM11 over a line: pacing, timeouts, retries and recovery."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.elm11.program import (
    START,
    LuaProgram,
    asked,
    bootstrap,
    hello_line,
    said,
)
from cwt_hwbridge.elm11.repl import Phase, Repl
from cwt_hwbridge.errors import (
    DeadlineExceededError,
    LinkDownError,
    NoAnswerError,
    OperationCancelledError,
    RefusedError,
    ResetError,
    WrongDeviceError,
)
from cwt_hwbridge.line import MAX_WAIT_S, Line

__all__ = ["DEFAULT_PACE_S", "ReplClient"]

#: Pause after each sent byte. There is no flow control; the manufacturer recommends 1 to 20 ms.
DEFAULT_PACE_S = 0.001

#: Number of retries of a line whose turn ends without a reply.
RETRIES = 5

#: Number of requests for a prompt before giving up.
CALLS = 4

#: Timeout for a requested prompt; Lua notices an interruption between two instructions.
CALL_S = 0.5

#: Silence after which the device is assumed to send nothing more.
SILENCE_S = 0.05

#: Timeout for the reply to a line that only transfers data.
PATIENCE_S = 2.0

#: Number of nonces, of four hexadecimal digits.
NONCES = 1 << 16

#: Longest quotation of a device's output in an error message, in characters.
SAID = 120

#: Lua's errors for the program's functions after a reset. A name corrupted in transmission gives
#: another error.
_FORGOTTEN = tuple(f"a nil value (global '{name}')" for name in ("_Q", "_R", "_K"))


class ReplClient:
    """Send one command at a time; every method checks the deadline at least every 0.1 s.

    Parameters
    ----------
    line
        The line, which this client uses exclusively.
    pace_s
        Pause after each sent byte.
    clock
        Monotonic clock, seconds.
    """

    def __init__(
        self,
        line: Line,
        pace_s: float = DEFAULT_PACE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line = line
        self._pace_s = pace_s
        self._clock = clock
        self._repl = Repl()
        self._nonce = secrets.randbelow(NONCES)

    def settle(self, deadline: CancellableDeadline) -> None:
        """Reach Lua's prompt from any state of the device.

        Raises
        ------
        NoAnswerError
            No byte arrived.
        WrongDeviceError
            The device answers, but not like Lua's prompt.
        """
        came = False
        for _ in range(CALLS):
            came |= self._send(self._repl.interrupt(), deadline)
            came |= self._listen(CALL_S, deadline)
            if self._repl.phase is Phase.READY:
                self._await_silence(deadline)
                nonce = self._new_nonce()
                if self._turn(nonce, hello_line(nonce), CALL_S, deadline) == "lua":
                    return
        if not came:
            raise NoAnswerError(
                "no answer: check that the ELM11 is switched on and that CWT_HW_PORTS names its "
                "port"
            )
        raise WrongDeviceError(
            "the device does not answer with a Lua prompt: check that CWT_HW_PORTS names the port "
            f"of an ELM11. It sent {self._said()}"
        )

    def upload(self, program: LuaProgram, deadline: CancellableDeadline) -> None:
        """Upload a program and start it; requires a prompt, see `settle`.

        Raises
        ------
        LinkDownError
            The program did not arrive intact.
        """
        self._bootstrap(deadline)
        lines = program.lines()
        for number, (statement, expected) in enumerate(lines, start=1):
            self._instruct(statement, f"_K(_P[{number}])", expected, deadline)
            deadline.report(number, len(lines))
        self._instruct(*START, "nil", deadline)

    def has(self, program: LuaProgram, deadline: CancellableDeadline) -> bool:
        """Return whether the program is on the device already."""
        nonce = self._new_nonce()
        line = said(nonce, "if _R then", "tostring(cwtm_build)") + " end"
        return self._turn(nonce, line, PATIENCE_S, deadline) == program.build

    def request(
        self, request: str, deadline: CancellableDeadline, patience_s: float = PATIENCE_S
    ) -> str:
        """Pass a request to the program and return its reply.

        Raises
        ------
        RefusedError
            The program failed; the message is Lua's.
        ResetError
            The device has lost the program.
        LinkDownError
            No reply arrived after all retries.
        """
        nonce = self._new_nonce()
        line = asked(nonce, request)
        answer = self._persist(nonce, line, lambda got: got != "damaged", patience_s, deadline)
        status, _, rest = answer.partition(" ")
        if status != "ok":
            code = "MEMORY" if "not enough memory" in rest else "LUA"
            raise RefusedError(f"the ELM11's program failed: {rest}", code)
        return rest

    def _new_nonce(self) -> str:
        """Return a number that no recent line had."""
        self._nonce = (self._nonce + 1) % NONCES
        return f"{self._nonce:04x}"

    def _bootstrap(self, deadline: CancellableDeadline) -> None:
        """Define the functions that produce replies, and verify that they arrived intact."""
        for _ in range(RETRIES + 1):
            for statement in bootstrap():
                nonce = self._new_nonce()
                line = f"{statement} {hello_line(nonce)}"
                self._persist(nonce, line, lambda got: got == "lua", PATIENCE_S, deadline)
            nonce = self._new_nonce()
            line = said(nonce, "", '"lua"')
            if self._turn(nonce, line, PATIENCE_S, deadline) == "lua":
                return
        raise LinkDownError("the first lines sent to the ELM11 arrive corrupted on every attempt")

    def _instruct(
        self, statement: str, expression: str, expected: str, deadline: CancellableDeadline
    ) -> None:
        nonce = self._new_nonce()
        line = said(nonce, statement, expression)
        self._persist(nonce, line, lambda got: got == expected, PATIENCE_S, deadline)

    def _persist(
        self,
        nonce: str,
        line: str,
        good: Callable[[str], bool],
        patience_s: float,
        deadline: CancellableDeadline,
    ) -> str:
        """Repeat a line until its reply is `good`; the device executes it once, by its nonce."""
        for _ in range(RETRIES + 1):
            if self._repl.phase is not Phase.READY:
                self._recover(deadline)
            answer = self._turn(nonce, line, patience_s, deadline)
            if answer is not None and good(answer):
                return answer
            self._await_silence(deadline)
            if any(words in heard for heard in self._repl.heard for words in _FORGOTTEN):
                raise ResetError("the ELM11 was reset and lost its program")
        raise LinkDownError(f"the ELM11 no longer answers; it sent {self._said()}")

    def _recover(self, deadline: CancellableDeadline) -> None:
        try:
            self.settle(deadline)
        except (NoAnswerError, WrongDeviceError) as error:
            raise LinkDownError(f"the ELM11 was lost: {error}") from error

    def _turn(
        self, nonce: str, line: str, patience_s: float, deadline: CancellableDeadline
    ) -> str | None:
        """Send a line and return its reply, or None if the turn ended without it or timed out."""
        try:
            self._send(self._repl.ask(nonce, line), deadline)
            self._listen(patience_s, deadline)
        except (OperationCancelledError, DeadlineExceededError):
            self._repl.give_up()
            self._line.write(b"q")
            raise
        if self._repl.phase is not Phase.READY:
            self._repl.give_up()
        return self._repl.reply

    def _send(self, data: bytes, deadline: CancellableDeadline) -> bool:
        """Send byte by byte while receiving; return whether anything arrived."""
        came = False
        for position in range(len(data)):
            self._line.write(data[position : position + 1])
            came |= self._hear_for(self._pace_s, deadline)
        return came

    def _listen(self, patience_s: float, deadline: CancellableDeadline) -> bool:
        """Receive and reply until the turn is over; return whether anything arrived."""
        came = False
        ends = self._clock() + patience_s
        while self._repl.phase in (Phase.ASKED, Phase.CALLING):
            left_s = ends - self._clock()
            if left_s <= 0:
                break
            deadline.check()
            came |= self._receive(min(left_s, MAX_WAIT_S))
            came |= self._send(self._repl.to_send(), deadline)
        return came

    def _await_silence(self, deadline: CancellableDeadline) -> None:
        """Discard pending input, such as a second prompt; otherwise turns would overlap."""
        ends = self._clock() + CALL_S
        while self._clock() < ends and self._receive(SILENCE_S):
            deadline.check()

    def _hear_for(self, pause_s: float, deadline: CancellableDeadline) -> bool:
        came = False
        ends = self._clock() + pause_s
        deadline.check()
        while (left_s := ends - self._clock()) > 0:
            came |= self._receive(left_s)
        return came

    def _receive(self, timeout_s: float) -> bool:
        data = self._line.read(timeout_s)
        self._repl.receive(data)
        return bool(data)

    def _said(self) -> str:
        return repr(" / ".join(self._repl.heard)[-SAID:])
