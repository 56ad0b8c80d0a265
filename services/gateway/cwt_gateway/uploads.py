"""Uploads of recordings: receive a file, define its stream, and publish it.

The epoch is derived from the file and the stream's definition, and positions are those in the file.
Repeating an upload therefore publishes nothing twice, and completes an interrupted one.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus

from cwt_gateway.caller import Caller
from cwt_gateway.keys import Grant
from cwt_gateway.slots import Slots
from cwt_gateway.uploaded_file import ending_of, receive_file, split_filename, unpack
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError, ForbiddenError
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import storage, subjects
from cwt_schemas.errors import Conflict, NotFound, Unprocessable
from cwt_schemas.http import RecordingAccepted
from cwt_schemas.limits import MAX_INT64
from cwt_schemas.stream import StreamDefinition, StreamStatus
from pycwt_client.definition import analyses_of_recording, derived_definition, difference
from pycwt_client.sources import Signals, SourceError, SourceInfo, named_source, play
from pycwt_client.sources.source import CHUNK_S

__all__ = ["Upload", "UploadRequest", "Uploads"]


#: Maximum number of recordings received, read or published at a time; reading may need half a
#: gigabyte.
MAX_UPLOADS: Final = 8
#: Duration of a chunk of a recording published as fast as possible, seconds.
FAST_CHUNK_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class UploadRequest:
    """The parameters of an upload."""

    stream: str
    filename: str
    channels: tuple[str, ...] | None
    coherence: tuple[tuple[str, str], ...]
    power: tuple[str, ...]
    band: tuple[float, float] | None
    fs_hz: float | None
    speed: float

    @property
    def analysed(self) -> bool:
        """Whether the parameters specify analyses."""
        return bool(self.coherence or self.power or self.band)


class Uploads:
    """The recordings that this gateway is receiving or publishing."""

    def __init__(self, limit: int = MAX_UPLOADS) -> None:
        self.slots = Slots(
            limit,
            "recordings are being received or published: upload it later, or publish with a "
            "higher speed",
        )
        self._publishing: dict[str, tuple[str, anyio.CancelScope]] = {}

    def is_publishing(self, stream: str, epoch: str) -> bool:
        """Return whether this recording is being published to the stream.

        Raises
        ------
        Conflict
            Another recording is being published to it.
        """
        present, _ = self._publishing.get(stream, (None, None))
        if present not in {None, epoch}:
            raise Conflict(
                f"another recording is being published to {stream}: wait until it ends, or use "
                "another stream"
            )
        return present is not None

    @contextmanager
    def publishing(self, stream: str, epoch: str) -> Iterator[None]:
        """Record that a recording is published to a stream while the context is open."""
        with anyio.CancelScope() as scope:
            self._publishing[stream] = (epoch, scope)
            try:
                yield
            finally:
                del self._publishing[stream]

    def cancel(self, stream: str) -> None:
        """Stop publishing to a stream."""
        if stream in self._publishing:
            self._publishing[stream][1].cancel()


@dataclass(frozen=True)
class Upload:
    """One upload."""

    request: UploadRequest
    caller: Caller
    #: The gateway's own connection, which sees the end of a stream that it publishes to.
    bus: Bus
    #: None: there are no keys.
    grant: Grant | None
    uploads: Uploads
    log: Log
    max_bytes: int

    async def run(
        self, body: AsyncIterator[bytes], *, task_status: TaskStatus[RecordingAccepted]
    ) -> None:
        """Receive, read and define; report to `task_status`; then publish.

        Raises
        ------
        ContractError, ProblemDetails
            Before `task_status` is called: the reason for refusing the recording.
        """
        accepted: RecordingAccepted | None = None

        def started(value: RecordingAccepted) -> None:
            nonlocal accepted
            accepted = value
            task_status.started(value)

        try:
            with (
                self.uploads.slots.taken(),
                TemporaryDirectory(prefix="cwt-upload-", ignore_cleanup_errors=True) as folder,
            ):
                await self._run(body, Path(folder), started)
        except Exception as error:
            if accepted is None:
                raise
            # The service and its other work continue.
            ids = {"stream": accepted.stream, "epoch": accepted.epoch}
            self.log.error(Action.RECORDING_FAILED, **ids, exc=error)

    async def _run(
        self,
        body: AsyncIterator[bytes],
        folder: Path,
        started: Callable[[RecordingAccepted], None],
    ) -> None:
        request = self.request
        filename, part = split_filename(request.filename)
        path = folder / f"recording{ending_of(filename)}"
        digest = await receive_file(body, path)
        path = await anyio.to_thread.run_sync(unpack, path, self.max_bytes)
        known = await self._present()
        try:
            source = named_source(
                f"xdf:{path}#{part}" if part else str(path),
                channels=request.channels,
                chunk_s=_chunk_s(request.speed),
                fs_hz=request.fs_hz,
                assumed_fs_hz=None if known is None else known.definition.fs_hz,
                untrusted=True,
            )
            async with source.open() as signals:
                await self._define_and_publish(signals, path, digest, started)
        except SourceError as error:
            raise Unprocessable(self._named(str(error), path)) from None

    async def _define_and_publish(
        self,
        signals: Signals,
        path: Path,
        digest: str,
        started: Callable[[RecordingAccepted], None],
    ) -> None:
        stream, info = self.request.stream, signals.info
        present = await self._present()  # reading may have taken a while
        definition = await self._definition(info, present)
        if self.grant is not None:
            await self._check_may_publish()
        epoch = _epoch(digest, definition)
        accepted = RecordingAccepted(
            stream=stream,
            epoch=epoch,
            n_samples=info.n_samples or 1,
            fs_hz=info.fs_hz,
            definition=definition,
            warnings=tuple(self._named(text, path) for text in info.warnings),
        )
        if _is_published(present, epoch, info) or self.uploads.is_publishing(stream, epoch):
            started(accepted)
            return
        with self.uploads.publishing(stream, epoch):
            started(accepted)
            async with (
                self._until_ended(),
                self.caller.client.publisher(stream, epoch) as publisher,
            ):
                await play(signals, publisher, speed=self.request.speed)
            self.log.info(
                Action.RECORDING_PUBLISHED,
                stream=stream,
                epoch=epoch,
                samples=info.n_samples,
                duplicates=publisher.duplicates,
            )

    @asynccontextmanager
    async def _until_ended(self) -> AsyncIterator[None]:
        """Stop publishing when the stream is deleted, by any client, and when the key ends."""
        stream = self.request.stream
        definitions = await self.bus.log.bucket(storage.KV_STREAMS)

        async def watch() -> None:
            async with definitions.watch(stream) as changes:
                async for change in changes:
                    if change.value is None:
                        self.uploads.cancel(stream)

        async def stop_at_end_of(grant: Grant) -> None:
            await grant.ended()
            self.uploads.cancel(stream)

        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            if self.grant is not None:
                tasks.start_soon(stop_at_end_of, self.grant)
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised below, outside the group
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _check_may_publish(self) -> None:
        """Publish a message that the log cannot store, to detect a missing permission.

        Raises
        ------
        ForbiddenError
            The user of the key may not publish to the stream.
        """
        subject, msg_id = subjects.signal(self.request.stream), secrets.token_hex(8)
        try:
            await self.caller.bus.log.store(subject, b"", msg_id=msg_id, expect_seq=MAX_INT64)
        except ForbiddenError:
            raise
        except BusError:
            pass  # not stored, as intended

    async def _present(self) -> StreamStatus | None:
        try:
            return await self.caller.client.get_stream(self.request.stream)
        except NotFound:
            return None

    async def _definition(self, info: SourceInfo, present: StreamStatus | None) -> StreamDefinition:
        """Return the stream's definition, creating it if there is none.

        Raises
        ------
        Conflict
            The existing definition does not fit.
        """
        request = self.request
        analyses = analyses_of_recording(
            info, power=request.power, coherence=request.coherence, band=request.band
        )
        derived = derived_definition(request.stream, info, analyses)
        if present is None:
            return (await self.caller.client.put_stream(derived)).definition
        if not request.analysed:
            derived = derived.model_copy(update={"analyses": ()})
        differs = difference(present.definition, derived)
        if differs is not None:
            raise Conflict(
                f"the stream {request.stream} has a definition that does not fit "
                f"{request.filename}: {differs}. Use another stream, or end this one"
            )
        return present.definition

    def _named(self, text: str, path: Path) -> str:
        """Return a message about the file under the name that the client uses."""
        pattern = f"({re.escape(str(path.parent))}/)?{re.escape(path.name)}"
        return re.sub(pattern, lambda _: split_filename(self.request.filename)[0], text)


def _chunk_s(speed: float) -> float:
    """Return the duration of a chunk, seconds: about five chunks a second, or long ones."""
    return FAST_CHUNK_S if speed == 0 else CHUNK_S * max(speed, 1.0)


def _epoch(digest: str, definition: StreamDefinition) -> str:
    """Return the name of the epoch, derived from the file and the definition's `start_seq`."""
    whole = f"{digest}@{definition.start_seq}".encode()
    return f"file-{hashlib.sha256(whole).hexdigest()[:16]}"


def _is_published(present: StreamStatus | None, epoch: str, info: SourceInfo) -> bool:
    return (
        present is not None
        and present.epoch == epoch
        and (present.next_sample or 0) >= (info.n_samples or 0)
    )
