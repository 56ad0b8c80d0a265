"""Whether the log takes what the system writes, and hands out what it has.

After one failed write, as on a full disk, JetStream does not write a stream again until the server
is restarted, even when there is room. The state of the stream does not show it, and publishers get
no reply. A request to remove messages is refused with the reason. So a stream is proven writable by
removing the messages of an unused subject.
"""

from __future__ import annotations

from typing import Final

import anyio

from cwt_runtime.bus import DurableLog, Usage
from cwt_runtime.bus.errors import BusError, NotStoredError
from cwt_schemas import storage

__all__ = ["ACCOUNT_INFO", "QUEUES", "STREAM_INFO", "storage_problems"]

#: Subjects of JetStream's interface, after `DurableLog.api` (ADR-31, the server's documentation).
ACCOUNT_INFO: Final = "INFO"
STREAM_INFO: Final = "STREAM.INFO."
TIMEOUT_S = 2.0
#: No message is published on it.
UNUSED_SUBJECT: Final = "cwt.unused"
#: What fails when a stream cannot be written.
CONSEQUENCES: Final = {
    storage.SIGNALS: "devices cannot publish",
    storage.WINDOWS: "streams are not analysed",
    storage.RESULTS: "results are not stored",
    storage.TASKS: "jobs do not start",
    storage.JOB_RESULTS: "jobs wait",
    storage.DEAD: "messages that cannot be processed are retried without end",
    storage.AUDIT: "streams and jobs cannot be changed",
    f"KV_{storage.KV_STREAMS}": "streams cannot be defined",
    f"KV_{storage.KV_CHECKPOINTS}": "streams are not analysed",
    f"KV_{storage.KV_JOBS}": "jobs are refused",
    f"KV_{storage.KV_SIGNIFICANCE}": "significance levels are computed every time",
    f"OBJ_{storage.OBJECTS}": "large jobs are refused",
    f"OBJ_{storage.REPLIES}": "large replies are refused",
    f"OBJ_{storage.ANSWERS}": "queries are computed every time",
}
#: The queues, and the consumer of each that all workers share.
QUEUES: Final = {
    storage.WINDOWS: storage.COMPUTE_WINDOWS,
    storage.TASKS: storage.COMPUTE_TASKS,
}
#: From here on the next message may be refused.
FULL = 0.98


async def storage_problems(log: DurableLog) -> tuple[str, ...]:
    """Return why the log does not take or hand out messages, one sentence for each reason.

    It needs the permission to purge, which is how it proves that a stream can be written.
    """
    found = dict.fromkeys(("", *storage.JETSTREAM), "")

    async def examine(stream: str) -> None:
        try:
            with anyio.fail_after(TIMEOUT_S):
                look = _stream_problem(log, stream) if stream else _account_problem(log)
                found[stream] = await look
        except TimeoutError:
            found[stream] = f"no answer within {TIMEOUT_S:g} s"
        except BusError as error:
            found[stream] = str(error)

    async with anyio.create_task_group() as tasks:
        for stream in found:
            tasks.start_soon(examine, stream)
    if found[""]:  # of all streams
        return (found[""],)
    return tuple(
        f"{stream}: {problem}; {CONSEQUENCES[stream]}"
        for stream, problem in found.items()
        if problem
    )


async def _account_problem(log: DurableLog) -> str:
    return f"the storage of this account is {full}" if (full := _full(await log.usage())) else ""


async def _stream_problem(log: DurableLog, stream: str) -> str:
    usage = await log.usage(stream)
    if usage.refuses_new and (full := _full(usage)):
        return full
    try:
        await log.purge(stream, UNUSED_SUBJECT)
    except NotStoredError as error:
        return f"cannot be written: {error}. Make room on the server's disk, then restart it"
    if stream in QUEUES and (await log.backlog(stream, QUEUES[stream])).is_paused:
        return f"its consumer is paused: nats consumer resume {stream} {QUEUES[stream]}"
    return ""


def _full(usage: Usage) -> str:
    limit = usage.max_bytes
    return f"full ({limit >> 20} MiB)" if limit and usage.size_bytes >= FULL * limit else ""
