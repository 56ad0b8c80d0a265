"""The compute processes of one service, each started when it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

from cwt_compute.processes.fork_server import ForkedProcess, ForkServer
from cwt_compute.processes.ipc import IpcKind, IpcMessage, refusal_of

__all__ = ["ComputeFaultError", "ComputeProcess", "ProcessDiedError", "ProcessPool", "open_pool"]


@asynccontextmanager
async def open_pool(server: ForkServer, worker: str, size: int) -> AsyncIterator[ProcessPool]:
    """Have compute processes while the context is open; none of them outlives it."""
    pool = ProcessPool(server, worker, size)
    try:
        yield pool
    finally:
        await pool.close()


class ProcessPool:
    """The compute processes that may compute at the same time, in the order of the requests."""

    def __init__(self, server: ForkServer, worker: str, size: int) -> None:
        self.size = size
        self._free = [ComputeProcess(server, worker) for _ in range(size)]
        self._every = tuple(self._free)
        self._slots = anyio.Semaphore(size)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[ComputeProcess]:
        """Wait for a compute process, and have it while the context is open."""
        async with self._slots:
            mine = self._free.pop()
            try:
                yield mine
            finally:
                self._free.append(mine)

    @contextmanager
    def free_one(self) -> Iterator[ComputeProcess | None]:
        """Have a compute process while the context is open, or None if all compute; do not wait."""
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            yield None
            return
        mine = self._free.pop()
        try:
            yield mine
        finally:
            self._free.append(mine)
            self._slots.release()

    async def close(self) -> None:
        """Kill all processes."""
        for each in self._every:
            await each.close()


class ProcessDiedError(Exception):
    """The process ended while it computed: it ran out of memory, crashed, or was killed."""


class ComputeFaultError(Exception):
    """The program failed while it computed; the message is for people, `trace` for the log."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class ComputeProcess:
    """A process that computes one thing at a time; it ends with the service, however that ends.

    Parameters
    ----------
    server
        Starts the process.
    worker
        Goes into the provenance of what is computed.
    """

    def __init__(self, server: ForkServer, worker: str) -> None:
        self._server = server
        self._worker = worker
        self._process: ForkedProcess | None = None
        self._turn = anyio.Lock()
        self._request: anyio.CancelScope | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Process ID, None while no process runs."""
        if self._process is None or self._process.has_ended():
            return None
        return self._process.pid

    async def ask(self, kind: IpcKind, body: bytes) -> bytes:
        """Return the body of the answer to a request.

        Cancelled, it kills the process with whatever runs in it, and waits for its end.

        Raises
        ------
        ContractError
            The request is at fault, and a retry would fail again.
        ComputeFaultError
            The program is at fault.
        ProcessDiedError
            There is no answer; the next request goes to a new process.
        OSError
            A process cannot be started.
        """
        async with self._turn:
            if not self._closed:
                with anyio.CancelScope() as self._request:
                    return await self._answer(IpcMessage(kind, body))
        raise ProcessDiedError("the process was closed")

    async def close(self) -> None:
        """Kill the process for good, and wait for its end; a request under way raises an error."""
        self._closed = True
        if self._request is not None:
            self._request.cancel()
        with anyio.CancelScope(shield=True):
            async with self._turn:
                await self._kill()

    async def _answer(self, request: IpcMessage) -> bytes:
        answer = await self._exchange(request)
        if answer.kind is IpcKind.REFUSED:
            raise refusal_of(answer)
        if answer.kind is not IpcKind.DONE:
            raise ComputeFaultError("it raised an error", answer.body.decode(errors="replace"))
        return answer.body

    async def _exchange(self, request: IpcMessage) -> IpcMessage:
        process = self._running()
        try:
            return await process.exchange(request)
        except (EOFError, ConnectionError) as error:
            self._process = None
            raise ProcessDiedError(await _reason(process)) from error
        except BaseException:
            await self._kill()
            raise

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with anyio.CancelScope(shield=True):
                await process.kill()

    def _running(self) -> ForkedProcess:
        if self._process is not None and self._process.has_ended():
            self._process.close()
            self._process = None
        if self._process is None:
            self._process = self._server.fork(self._worker)
        return self._process


async def _reason(process: ForkedProcess) -> str:
    """Wait for the end of a process that has closed its socket; return how it ended."""
    with anyio.CancelScope(shield=True):
        code = await process.ended()
    if code is None:
        return "the process that starts compute processes has ended"
    if code < 0:
        return f"the process that computed it was killed by signal {-code}"
    return f"the process that computed it ended with exit code {code}"
