"""Structured logs: each record has an `action` from a closed list, and ids."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from typing import TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from cwt_runtime.settings import ServiceSettings

__all__ = ["Action", "Log", "configure_logs", "logger"]


class Action(StrEnum):
    """The actions of log records; a new kind of record requires a new action."""

    STARTING = "starting"
    START_RETRIED = "start_retried"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"
    BUS_WAITING = "bus_waiting"
    BUS_REFUSED = "bus_refused"
    BUS_CONNECTED = "bus_connected"
    BUS_LOST = "bus_lost"
    BUS_ERROR = "bus_error"
    BUS_CLOSED = "bus_closed"
    STORE_RETRIED = "store_retried"
    TRACES_LOST = "traces_lost"
    REQUEST_FAILED = "request_failed"
    REQUEST_REFUSED = "request_refused"
    MESSAGE_SKIPPED = "message_skipped"
    STREAM_DEFINED = "stream_defined"
    STREAM_DELETED = "stream_deleted"
    STREAM_PURGED = "stream_purged"
    STREAM_RESUMED = "stream_resumed"
    STREAM_AWAITED = "stream_awaited"
    STREAM_LOST = "stream_lost"
    STREAM_UNUSABLE = "stream_unusable"
    STREAM_EVENT = "stream_event"
    MEMBER_GONE = "member_gone"
    CHUNK_FAILED = "chunk_failed"
    CHECKPOINT_DELAYED = "checkpoint_delayed"
    WINDOW_RETRIED = "window_retried"
    WINDOW_DEAD = "window_dead"
    JOB_SUBMITTED = "job_submitted"
    JOB_CANCELLED = "job_cancelled"
    JOB_RETRIED = "job_retried"
    JOB_ENDED = "job_ended"
    TASK_RETRIED = "task_retried"
    TASK_FAILED = "task_failed"
    TASK_DEAD = "task_dead"
    RECORDING_PUBLISHED = "recording_published"
    RECORDING_FAILED = "recording_failed"
    DEVICE_EVENT = "device_event"
    CHILD_STARTED = "child_started"
    CHILD_DIED = "child_died"
    SERVER_UNWRITABLE = "server_unwritable"


#: Omits the values of variables, which include the server's URL with its password, and signals of
#: people.
_TRACEBACKS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))


class Log:
    """A logger of a service; `bind` adds ids to all subsequent records."""

    def __init__(self, bound: structlog.typing.FilteringBoundLogger) -> None:
        self._bound = bound

    def bind(self, **ids: object) -> Log:
        """Return a logger whose records also contain `ids`."""
        return Log(self._bound.bind(**ids))

    def debug(self, action: Action, **ids: object) -> None:
        """Log a detail that is of interest only when searching for a fault."""
        self._bound.debug(action.value, **ids)

    def info(self, action: Action, **ids: object) -> None:
        """Log an expected event."""
        self._bound.info(action.value, **ids)

    def warning(self, action: Action, **ids: object) -> None:
        """Log an event that an operator may need to investigate."""
        self._bound.warning(action.value, **ids)

    def error(self, action: Action, *, exc: BaseException | None = None, **ids: object) -> None:
        """Log a fault, with the traceback of `exc`, if any."""
        self._bound.error(action.value, exc_info=exc, **ids)


def configure_logs(settings: ServiceSettings, stream: TextIO | None = None) -> None:
    """Write records to `stream` (default: stderr) as JSON lines, or as text on a terminal."""
    stream = stream or sys.stderr
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not stream.isatty()
    )
    tail: list[structlog.typing.Processor] = (
        [_TRACEBACKS, structlog.processors.JSONRenderer()]
        if as_json
        else [
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(),
                event_key="action",
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="t"),
            structlog.processors.EventRenamer("action"),
            *tail,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


def logger(service: str) -> Log:
    """Return the logger of `service`."""
    return Log(structlog.get_logger().bind(service=service))
