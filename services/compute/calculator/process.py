"""One calculator, as its service sees it: a process, started when it is needed."""

from __future__ import annotations

import subprocess
import sys

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from services.compute.calculator.frames import HEADER_BYTES, Frame, Kind, header_of, packed
from services.runtime.orphan_guard import guarded

__all__ = ["Calculator", "CalculatorDiedError"]


class CalculatorDiedError(Exception):
    """The process ended while it computed: out of memory, a crash, or killed by somebody."""


class Calculator:
    """A process that computes one thing at a time; it ends with the service, however that ends.

    Parameters
    ----------
    worker
        Goes into the provenance of what is computed.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._process: Process | None = None
        self._answers: BufferedByteReceiveStream | None = None

    @property
    def pid(self) -> int | None:
        """Process ID of the calculator, None while it has no process."""
        return None if self._process is None else self._process.pid

    async def ask(self, kind: Kind, body: bytes) -> Frame:
        """Return the answer. Cancelled, it kills the process, and whatever runs in it ends.

        Raises
        ------
        CalculatorDiedError
            There is no answer; the next question goes to a new process.
        """
        process, answers = await self._started()
        try:
            if process.stdin is None:
                raise CalculatorDiedError("its pipe is closed")
            await process.stdin.send(packed(Frame(kind, body)))
            answer, length = header_of(await answers.receive_exactly(HEADER_BYTES))
            return Frame(answer, await answers.receive_exactly(length))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise CalculatorDiedError(await self._reason(process)) from error
        except anyio.IncompleteRead as error:
            raise CalculatorDiedError(await self._reason(process)) from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Kill the process."""
        process, self._process, self._answers = self._process, None, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            with anyio.CancelScope(shield=True):
                await process.aclose()

    async def _started(self) -> tuple[Process, BufferedByteReceiveStream]:
        if self._process is None or self._answers is None or self._process.returncode is not None:
            await self.close()
            process = await anyio.open_process(
                guarded([sys.executable, "-m", "services.compute.calculator", self._worker]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None,
                # Ctrl-C in a terminal is for the service, which ends what it has begun.
                start_new_session=True,
            )
            if process.stdout is None:
                raise CalculatorDiedError("its pipe is closed")
            self._process, self._answers = process, BufferedByteReceiveStream(process.stdout)
        return self._process, self._answers

    async def _reason(self, process: Process) -> str:
        with anyio.CancelScope(shield=True):
            code = await process.wait()
        await self.close()
        if code < 0:
            return f"the process that computed it was ended by signal {-code}"
        return f"the process that computed it ended with exit code {code}"
