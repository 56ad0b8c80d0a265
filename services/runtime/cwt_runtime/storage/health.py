"""Check that the streams of the system can be written and read.

After one failed write, as on a full disk, JetStream does not write a stream again until the server
is restarted, even when there is room. The state of the stream does not show it, and publishers get
no reply. But a purge is refused with the reason. The check therefore purges an unused subject of
each stream.
"""

from __future__ import annotations

from typing import Final

import anyio

from cwt_runtime.bus import DurableLog, Usage
from cwt_runtime.bus.errors import BusError, NotStoredError
from cwt_schemas import storage

__all__ = ["ACCOUNT_INFO", "QUEUES", "STREAM_INFO", "storage_problems"]

#: Subjects of the JetStream API, after `DurableLog.api` (ADR-31, the server's documentation).
ACCOUNT_INFO: Final = "INFO"
STREAM_INFO: Final = "STREAM.INFO."
TIMEOUT_S = 2.0
#: A subject on which no message is published.
UNUSED_SUBJECT: Final = "cwt.unused"
#: Consequence if a stream cannot be written.
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
    f"KV_{storage.KV_KEYS}": "keys cannot be added or revoked",
    f"OBJ_{storage.OBJECTS}": "large jobs are refused",
    f"OBJ_{storage.REPLIES}": "large replies are refused",
    f"OBJ_{storage.ANSWERS}": "queries are computed every time",
}
#: The work queues, and the consumer of each, which all workers share.
QUEUES: Final = {
    storage.WINDOWS: storage.COMPUTE_WINDOWS,
    storage.TASKS: storage.COMPUTE_TASKS,
}
#: Fraction of the limit above which the next message may be refused.
FULL = 0.98


async def storage_problems(log: DurableLog) -> tuple[str, ...]:
    """Return the problems with writing and reading the streams, one sentence for each.

    The check needs the permission to purge, see the module.
    """
    problems = dict.fromkeys(("", *storage.JETSTREAM), "")

    async def examine(stream: str) -> None:
        try:
            with anyio.fail_after(TIMEOUT_S):
                check = _stream_problem(log, stream) if stream else _account_problem(log)
                problems[stream] = await check
        except TimeoutError:
            problems[stream] = f"no reply within {TIMEOUT_S:g} s"
        except BusError as error:
            problems[stream] = str(error)

    async with anyio.create_task_group() as tasks:
        for stream in problems:
            tasks.start_soon(examine, stream)
    if problems[""]:  # concerns all streams
        return (problems[""],)
    return tuple(
        f"{stream}: {problem}; {CONSEQUENCES[stream]}"
        for stream, problem in problems.items()
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
