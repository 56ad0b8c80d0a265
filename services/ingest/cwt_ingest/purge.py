"""Remove everything stored of a deleted stream.

Windows that workers hold are removed last: a worker acknowledges a window after storing its
results, so no result follows once a stream has no windows left. If no worker takes them, they are
removed while they wait. Other processes may still store messages, such as the one that followed the
stream a moment ago, so removal ends when nothing new has arrived for a while.
"""

from __future__ import annotations

import anyio

from cwt_ingest.ownership import checkpoint_key
from cwt_runtime.bus import ACK_WAIT_S, Bucket, DurableLog
from cwt_runtime.rpc.audit import AuditLog
from cwt_runtime.rpc.context import request_context
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import storage, subjects
from cwt_schemas.audit import AuditAction
from cwt_schemas.codec import content_type_of, decode
from cwt_schemas.errors import Conflict, ContractError
from cwt_schemas.message import DeadLetter
from cwt_schemas.stream import StreamPurge, StreamPurged

__all__ = ["RecordingPurge"]

#: Pause between two checks.
LOOK_S = 0.25
#: Time without new messages after which the process that followed the stream has stopped, and
#: workers have reported the windows that they dropped.
QUIET_S = 2.0
#: Time without a finished window after which the windows have no worker.
IDLE_S = 1.5 * ACK_WAIT_S
#: Deadline of the reply, also if something is left.
PATIENCE_S = 45.0


class RecordingPurge:
    """Remove recordings.

    Parameters
    ----------
    definitions, checkpoints
        The buckets; the history of the stream in them is removed as well.
    idle_s, patience_s
        Limits on waiting for a worker, and for the stream to become idle, seconds.
    """

    def __init__(
        self,
        bus_log: DurableLog,
        definitions: Bucket,
        checkpoints: Bucket,
        log: Log,
        *,
        idle_s: float = IDLE_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._bus_log = bus_log
        self._definitions = definitions
        self._checkpoints = checkpoints
        self._audit = AuditLog(bus_log)
        self._log = log
        self._idle_s = idle_s
        self._patience_s = patience_s

    async def purge(self, request: StreamPurge) -> StreamPurged:
        """Remove everything stored of a stream and, if requested, all cached replies to queries.

        Cached replies do not name their recording, so all of them are removed.

        Raises
        ------
        Conflict
            The stream is still defined, or does not become idle.
        Forbidden
            The caller is a user of another account.
        """
        name = request.name
        if await self._definitions.get(name) is not None:
            raise Conflict(f"stream {name} is defined: delete it first, with cwt.stream.delete")
        caller = request_context().caller
        caller.check_owner(None, f"the data of stream {name}")  # its definition is gone
        await self._audit.record(AuditAction.STREAM_PURGED, "stream", name)
        removed = await self._remove(name)
        letters = await self._remove_dead_letters(name)
        if request.cached_replies:
            await (await self._bus_log.objects(storage.ANSWERS)).clear()
        await self._definitions.forget(name)
        await self._checkpoints.forget(checkpoint_key(name))
        self._log.info(Action.STREAM_PURGED, stream=name, user=caller.user)
        return StreamPurged(
            name=name,
            **removed,
            dead_letters=letters,
        )

    async def _remove(self, name: str) -> dict[str, int]:
        """Return how many chunks, windows, results, events and markers were removed."""
        total = dict.fromkeys(("chunks", "windows", "results", "events", "markers"), 0)
        begun = quiet_since = progress_at = anyio.current_time()
        before = 0
        while (now := anyio.current_time()) - quiet_since < QUIET_S:
            chunks = await self._purge(storage.SIGNALS, subjects.signal(name))
            waiting = await self._count(storage.WINDOWS, subjects.windows_of(name))
            if waiting != before:
                before, progress_at = waiting, now
            removed = {"chunks": chunks}
            if waiting and now - progress_at > self._idle_s:
                windows = await self._purge(storage.WINDOWS, subjects.windows_of(name))
                removed["windows"] = windows
            elif not waiting:
                removed |= {
                    "results": await self._purge(storage.RESULTS, subjects.results_of(name)),
                    "events": await self._purge(storage.RESULTS, subjects.event(name)),
                    "markers": await self._purge(storage.RESULTS, subjects.marker(name)),
                }
            for kind, count in removed.items():
                total[kind] += count
            if waiting or any(removed.values()):
                quiet_since = now
            if now - begun > self._patience_s:
                raise Conflict(_restless(name, chunks, waiting))
            await anyio.sleep(LOOK_S)
        return total

    async def _count(self, stream: str, pattern: str) -> int:
        return sum((await self._bus_log.subject_counts(stream, pattern)).values())

    async def _purge(self, stream: str, pattern: str) -> int:
        count = await self._count(stream, pattern)
        if count:
            await self._bus_log.purge(stream, pattern)
        return count

    async def _remove_dead_letters(self, name: str) -> int:
        removed = 0
        async with self._bus_log.read(storage.DEAD, (subjects.DEAD,)) as letters:
            async for stored in letters:
                message = stored.message
                try:
                    letter = decode(DeadLetter, message.data, content_type_of(message.headers))
                    about = subjects.lane_of_window(letter.subject).stream
                except ContractError:
                    continue  # belongs to a task, or to another version
                if about == name:
                    await self._bus_log.remove(storage.DEAD, stored.seq)
                    removed += 1
        return removed


def _restless(name: str, chunks: int, windows: int) -> str:
    if chunks:
        return f"a device still sends samples of {name}: stop it, then retry"
    if windows:
        return f"{windows} windows of {name} are still being computed: retry in a minute"
    return f"results, events or markers of {name} are still being stored: retry in a minute"
