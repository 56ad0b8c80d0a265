"""Structured logs: every record has an `action` from a closed list, and the ids it is about."""

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
    """All that the services have to tell; a new kind of record starts here."""

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


#: Without the values of variables: among them are the server's address with its password, and
#: signals of people.
_TRACEBACKS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))


class Log:
    """A logger that knows its service; `bind` adds ids to every record that follows."""

    def __init__(self, bound: structlog.typing.FilteringBoundLogger) -> None:
        self._bound = bound

    def bind(self, **ids: object) -> Log:
        """Return a logger whose records carry `ids` too."""
        return Log(self._bound.bind(**ids))

    def debug(self, action: Action, **ids: object) -> None:
        """Record what is of interest only to somebody who looks for it."""
        self._bound.debug(action.value, **ids)

    def info(self, action: Action, **ids: object) -> None:
        """Record something expected."""
        self._bound.info(action.value, **ids)

    def warning(self, action: Action, **ids: object) -> None:
        """Record something that an operator may want to look into."""
        self._bound.warning(action.value, **ids)

    def error(self, action: Action, *, exc: BaseException | None = None, **ids: object) -> None:
        """Record a fault, with the traceback of `exc` if given."""
        self._bound.error(action.value, exc_info=exc, **ids)


def configure_logs(settings: ServiceSettings, stream: TextIO | None = None) -> None:
    """Send records to `stream` (standard error): JSON lines, or readable lines on a terminal."""
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
