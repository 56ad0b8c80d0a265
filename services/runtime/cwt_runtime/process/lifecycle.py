"""Life cycle of a service process: settings, logs, bus, work, shutdown.

After a transient failure, such as an outage of the server, a service restarts its work in the same
process on a new connection, without a limit on the length of the outage.

SIGTERM or SIGINT sets `stop`: the service takes no new work, finishes and acknowledges the work in
progress, and returns; then the connection is flushed and closed. A service that is still waiting
for the server stops immediately. Work that is not finished within the drain time is cancelled: it
is not acknowledged, so another worker retries it. Work in a thread cannot be cancelled; if it
continues for a few more seconds, `ShutdownWatchdog` ends the process, again without loss. The same
applies when the connection is closed permanently.

Exit codes: 0 stopped on request, 1 failed (the supervisor restarts the process), 78 invalid
settings, or an unreadable password or credentials file (EX_CONFIG: a restart does not help).
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any, TypeVar

import anyio
import anyio.abc
import threadpoolctl

from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusClosedError, BusError, UnusableConnectionError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.vitals import Vitals
from cwt_runtime.rpc.micro import Identity
from cwt_runtime.settings import ServiceSettings, SettingsError, load_settings
from cwt_runtime.storage.publish import UNTIL_STORED
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import Action, Log, configure_logs, logger
from cwt_runtime.telemetry.monitoring import serve_monitoring
from cwt_runtime.telemetry.tracing import start_tracing, stop_tracing

__all__ = [
    "EX_CONFIG",
    "GRACE_S",
    "Context",
    "RestartNeededError",
    "ShutdownWatchdog",
    "Stop",
    "exempt_from_collection",
    "keep_freed_memory",
    "run_service",
    "serve_on_bus",
]

FAILED = 1
EX_CONFIG = 78
#: The installed distribution whose version the services report.
DISTRIBUTION = "pycwt-mod"
#: Time after the drain time in which cancelled work ends and the connection is closed, seconds.
#: With the default drain time the process ends before `pycwt-mod up` or Docker would kill it.
GRACE_S = 4.0
#: Maximum amount of freed memory that a process keeps.
KEPT_BYTES = 256 * 1024 * 1024
#: Size above which blocks are mapped individually; the maximum that glibc accepts.
MAPPED_FROM_BYTES = 32 * 1024 * 1024
#: From glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3

T = TypeVar("T")
Settings = TypeVar("Settings", bound=ServiceSettings)


class RestartNeededError(Exception):
    """The service has lost state that it needs, and must restart its work."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The environment of a running service."""

    bus: Bus
    identity: Identity
    log: Log
    #: Set when the service must finish.
    stop: Stop
    #: Set when the service is ready.
    is_ready: anyio.Event = field(default_factory=anyio.Event)

    def ready(self, **ids: object) -> None:
        """Report that the service is ready."""
        self.is_ready.set()
        self.log.info(Action.READY, **ids)


def run_service(
    name: str,
    description: str,
    settings_kind: type[Settings],
    serve: Callable[[Context, Settings], Awaitable[None]],
) -> int:
    """Run `serve` until a stop is requested; return the exit code of the process."""
    identity = Identity(
        name=name,
        id=f"{name}-{os.getpid()}-{os.urandom(4).hex()}",
        version=version(DISTRIBUTION),
        description=description,
    )
    try:
        settings = load_settings(settings_kind)
        configure_logs(settings)
        if settings.traces:
            start_tracing(name, identity.id)
    except SettingsError as error:
        print(f"{name}: invalid settings:\n{error}", file=sys.stderr)  # noqa: T201
        return EX_CONFIG
    keep_freed_memory()
    exempt_from_collection()
    # One thread budget: the service decides about parallel work, not the BLAS library.
    watchdog = ShutdownWatchdog()
    with threadpoolctl.threadpool_limits(1):
        outcome = anyio.run(serve_on_bus, identity, settings, serve, watchdog)
    stop_tracing()
    watchdog.disarm()
    return outcome


async def serve_on_bus(
    identity: Identity,
    settings: Any,  # noqa: ANN401 - `serve` fixes the type
    serve: Callable[[Context, Any], Awaitable[None]],
    watchdog: ShutdownWatchdog,
) -> int:
    """Connect and run `serve` until a stop is requested; return the exit code of the process."""
    log = logger(identity.name).bind(instance=identity.id)
    log.info(Action.STARTING, version=identity.version)
    stop = Stop()
    outcome = 0
    async with anyio.create_task_group() as signals:
        vitals = Vitals(stop.is_set)
        end = _End(stop, signals.cancel_scope, watchdog, vitals, settings.drain_s, log)
        await signals.start(_watch_signals, end)
        signals.start_soon(vitals.beat)
        try:
            async with serve_monitoring(
                settings.metrics_host, settings.metrics_port, vitals.checks
            ):
                await _work(identity, settings, serve, end)
        except UnusableConnectionError as error:
            log.error(Action.FAILED, detail=str(error))
            outcome = EX_CONFIG
        except Exception as error:  # noqa: BLE001 - the last record before the process ends
            log.error(Action.FAILED, exc=error)
            outcome = FAILED
        signals.cancel_scope.cancel()
    log.info(Action.STOPPED, exit_code=outcome)
    return outcome


async def _work(
    identity: Identity,
    settings: Any,  # noqa: ANN401 - `serve` fixes the type
    serve: Callable[[Context, Any], Awaitable[None]],
    end: _End,
) -> None:
    """Run `serve` on a connection; after a transient failure, run it again on a new one.

    Unsent messages in the buffer of the old connection are dropped, because another process may
    have taken over the work.
    """
    tries = 0
    while not end.stop.is_set():
        is_ready = anyio.Event()
        try:
            async with AsyncExitStack() as stack:
                connection = connect_bus(settings.nats, name=identity.id, log=end.log)
                enter = partial(stack.enter_async_context, connection)
                bus = await end.stop.run_until_stopped(enter)
                if bus is not None:
                    context = Context(
                        bus=bus, identity=identity, log=end.log, stop=end.stop, is_ready=is_ready
                    )
                    end.vitals.watch(bus, is_ready)
                    await _serve(context, settings, serve, end)
            return
        except Exception as error:
            faults = _transient(error)
            if not faults:
                raise
            tries = 1 if is_ready.is_set() else tries + 1
            end.log.warning(Action.START_RETRIED, tries=tries, detail=str(faults[0]))
        await end.stop.run_until_stopped(partial(anyio.sleep, UNTIL_STORED.delay_s(tries)))


async def _serve(
    context: Context,
    settings: Any,  # noqa: ANN401 - `serve` fixes the type
    serve: Callable[[Context, Any], Awaitable[None]],
    end: _End,
) -> None:
    async with anyio.create_task_group() as tasks:
        await context.bus.log.declare(system_topology(settings))
        tasks.start_soon(_fail_when_closed, context.bus, end)
        await serve(context, settings)
        tasks.cancel_scope.cancel()


def _transient(error: Exception) -> list[Exception]:
    """Return the failures in `error` if all of them are transient, else an empty list."""
    if isinstance(error, ExceptionGroup):
        parts = [_transient(each) for each in error.exceptions]
        return [each for part in parts for each in part] if all(parts) else []
    passes = isinstance(error, RestartNeededError) or (
        isinstance(error, BusError) and error.transient
    )
    return [error] if passes else []


async def _fail_when_closed(bus: Bus, end: _End) -> None:
    await bus.closed()
    end.is_due()
    raise BusClosedError("the connection to NATS is closed permanently")


class Stop:
    """Stop request: finish the work in progress, and take no new work."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._waits: set[anyio.CancelScope] = set()

    def set(self) -> None:
        """Request a stop; every wait in `run_until_stopped` ends."""
        self._event.set()
        for scope in self._waits:
            scope.cancel()

    def is_set(self) -> bool:
        """Return whether `set` was called."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Wait until `set` is called."""
        await self._event.wait()

    async def run_until_stopped(self, wait: Callable[[], Awaitable[T]]) -> T | None:
        """Return the result of `wait`, or None as soon as `set` is called.

        `set` cancels `wait`, so it must only wait for new work, not do work.
        """
        if self._event.is_set():
            return None
        with anyio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                return await wait()
            finally:
                self._waits.discard(scope)
        return None


@dataclass(frozen=True)
class _End:
    """Shutdown of a process: its parts and its time limit."""

    stop: Stop
    everything: anyio.CancelScope
    watchdog: ShutdownWatchdog
    vitals: Vitals
    drain_s: float
    log: Log

    def ask(self, number: signal.Signals) -> None:
        """Request a stop: finish the work in progress within the drain time."""
        if not self.stop.is_set():
            self.log.info(Action.DRAINING, signal=number.name, limit_s=self.drain_s)
            self.stop.set()
            self.everything.deadline = anyio.current_time() + self.drain_s
            self.is_due()

    def is_due(self) -> None:
        """Limit the remaining life of the process to the drain time and the grace period."""
        self.watchdog.arm(self.drain_s, self.log)


async def _watch_signals(end: _End, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        task_status.started()
        async for number in received:
            end.ask(number)


class ShutdownWatchdog:
    """Once armed, end the process after a time limit unless disarmed, even if work is running.

    Work in a thread cannot be cancelled, and an event loop waits for its threads: a computation
    that never returns would keep a stopped process alive. Its supervisor would start another
    process alongside it, or wait indefinitely.
    """

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def arm(self, limit_s: float, log: Log) -> None:
        """Start the countdown of `limit_s` and the grace period; later calls have no effect."""
        if self._timer is None:
            self._timer = threading.Timer(limit_s + GRACE_S, _end_process, (limit_s, log))
            self._timer.daemon = True
            self._timer.start()

    def disarm(self) -> None:
        """Stop the countdown."""
        if self._timer is not None:
            self._timer.cancel()


def _end_process(limit_s: float, log: Log) -> None:
    try:
        log.error(
            Action.FAILED,
            detail=f"a thread still runs after the drain time of {limit_s:g} s and {GRACE_S:g} s "
            "of grace: the process ends now, and other processes retry its unacknowledged work",
        )
        sys.stderr.flush()
    finally:
        os._exit(FAILED)


def keep_freed_memory() -> bool:
    """Keep freed memory in this process, up to a bound; return whether the C library supports it.

    glibc returns large blocks to the kernel when they are freed, and gets them back page by page,
    zeroed. For each array or reply of 8 MB, a worker would spend 2 µs on each of its 2000 pages;
    see `docs/decisions/0024-large-messages.md`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # not glibc
        return False
    return bool(
        mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES) and mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    )


def exempt_from_collection() -> None:
    """Exempt all objects that exist now, most of them imported modules, from garbage collection.

    A service has 100,000 to 170,000 of them. A full collection, which any message of some thousand
    lists causes, would visit them all, and block the event loop for 40 to 90 ms.
    """
    gc.collect()
    gc.freeze()
