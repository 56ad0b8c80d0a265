"""Pool of the compute processes of one service, started on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import anyio

from cwt_compute.processes.fork_server import ForkedProcess, ForkServer
from cwt_compute.processes.ipc import IpcKind, IpcMessage, refusal_of
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import Internal, Unavailable
from cwt_schemas.message import Message

__all__ = ["ComputeFaultError", "ComputeProcess", "ProcessDiedError", "ProcessPool", "open_pool"]

M = TypeVar("M", bound=Message)


@asynccontextmanager
async def open_pool(server: ForkServer, worker: str, size: int) -> AsyncIterator[ProcessPool]:
    """Return a pool of compute processes; leaving the context ends all processes."""
    pool = ProcessPool(server, worker, size)
    try:
        yield pool
    finally:
        await pool.close()


class ProcessPool:
    """A fixed number of compute processes, assigned in the order of requests."""

    def __init__(self, server: ForkServer, worker: str, size: int) -> None:
        self.size = size
        self._free = [ComputeProcess(server, worker) for _ in range(size)]
        self._every = tuple(self._free)
        self._slots = anyio.Semaphore(size)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[ComputeProcess]:
        """Wait for a compute process and reserve it while the context is open."""
        async with self._slots:
            mine = self._free.pop()
            try:
                yield mine
            finally:
                self._free.append(mine)

    @contextmanager
    def free_one(self) -> Iterator[ComputeProcess | None]:
        """Reserve a free compute process while the context is open, or return None."""
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
    """The process ended while computing: it ran out of memory, crashed, or was killed."""


class ComputeFaultError(Exception):
    """Unexpected error while computing; the message is for users, `trace` for the log."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class ComputeProcess:
    """A process that handles one request at a time, and ends with the service for any reason.

    Parameters
    ----------
    server
        Starts the process.
    worker
        Name of the worker in the provenance of results.
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
        """Process ID, or None if no process is running."""
        if self._process is None or self._process.has_ended():
            return None
        return self._process.pid

    async def ask(self, kind: IpcKind, body: bytes) -> bytes:
        """Send a request and return the body of the answer.

        Cancellation kills the process and waits for its end.

        Raises
        ------
        ContractError
            The request is invalid, and a retry would fail too.
        ComputeFaultError
            The computation failed unexpectedly.
        ProcessDiedError
            The process ended without an answer; the next request starts a new process.
        OSError
            The process cannot be started.
        """
        async with self._turn:
            if not self._closed:
                with anyio.CancelScope() as self._request:
                    return await self._answer(IpcMessage(kind, body))
        raise ProcessDiedError("the process was closed")

    async def reply(self, kind: IpcKind, request: Message, model: type[M]) -> M:
        """Send the request of an endpoint and return its reply.

        Raises
        ------
        ContractError
            The request is invalid, or the process failed or died.
        """
        try:
            body = await self.ask(kind, encode(request, ContentType.MSGPACK))
        except ProcessDiedError as error:
            raise Unavailable(str(error)) from error
        except ComputeFaultError as error:
            raise Internal(f"a compute process failed: {error.trace}") from error
        return decode(model, body, ContentType.MSGPACK)

    async def close(self) -> None:
        """Kill the process permanently and wait for its end; a pending request raises an error."""
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
    """Wait for the end of a process that closed its socket; return a description of the end."""
    with anyio.CancelScope(shield=True):
        code = await process.ended()
    if code is None:
        return "the process that starts compute processes has ended"
    if code < 0:
        return f"the process that computed it was killed by signal {-code}"
    return f"the process that computed it ended with exit code {code}"
