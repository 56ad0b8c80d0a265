"""The process of the command: exit codes, signals, logs and the terminal."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import sysconfig
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.abc
import typer
from rich.console import Console

from cwt_cli.faults import expected_fault
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.settings import ServiceSettings, load_settings
from cwt_runtime.telemetry.logs import Log, configure_logs, logger

__all__ = [
    "Interrupts",
    "command_log",
    "given_server",
    "program",
    "reported",
    "run_command",
    "server",
    "stop_signal",
    "stoppable",
    "warn",
]

#: Exit code that shells report for a process ended by SIGINT.
INTERRUPTED = 130


def program() -> str:
    """Return how to run the command in this terminal: its name, or its path if not on PATH."""
    name = "pycwt-mod"
    if shutil.which(name):
        return name
    installed = Path(sysconfig.get_path("scripts")) / name
    return os.path.relpath(installed) if installed.exists() else "python -m cwt_cli"


def run_command(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` and report its errors as `reported` does."""
    with reported():
        anyio.run(work)


@contextmanager
def reported() -> Iterator[None]:
    """Convert an expected error to one sentence on standard error and its exit code."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        if _reader_gone(error):
            # Discard buffered output, as typer does in commands without an event loop.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        fault = expected_fault(error)
        if fault is None:
            raise
        Console(stderr=True, soft_wrap=True).print(
            f"pycwt-mod: {fault}", style="red", markup=False, highlight=False
        )
        raise typer.Exit(fault.exit_code) from None


def warn(text: str) -> None:
    """Print a warning on standard error; the command continues."""
    Console(stderr=True, soft_wrap=True).print(
        f"pycwt-mod: warning: {text}", style="yellow", markup=False, highlight=False
    )


def _reader_gone(error: BaseException) -> bool:
    """Return whether the only error is that the reader of the output closed it, as `head` does."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_reader_gone, error.exceptions))
    return isinstance(error, BrokenPipeError)


def command_log(*, quiet: bool = False) -> Log:
    """Return the command's log on standard error; if `quiet`, only warnings and errors."""
    settings = load_settings(ServiceSettings)
    if quiet:
        settings = settings.model_copy(update={"log_level": "warning"})
    configure_logs(settings, sys.stderr)
    return logger("pycwt-mod")


def given_server() -> ConnectSettings | None:
    """Return the connection settings of the environment, or None if it names no server."""
    return server() if os.environ.get("CWT_NATS_URL") else None


def server() -> ConnectSettings:
    """Return the connection settings; the default is the server that `up` starts."""
    return load_settings(ServiceSettings).nats


class Interrupts:
    """State of Ctrl-C and SIGTERM: the first one cancels, the second one sets `again`."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.again = anyio.Event()
        self.came = False

    def take(self) -> None:
        """Handle a signal."""
        if self.came:
            self.again.set()
        self.came = True
        self.scope.cancel()


async def stoppable(work: Callable[[anyio.Event], Awaitable[None]]) -> bool:
    """Run `work` until it ends or the user stops it; return whether the user did.

    `work` receives the event that a second signal sets.
    """
    interrupts = Interrupts()
    async with anyio.create_task_group() as tasks:
        await tasks.start(_watch_signals, interrupts)
        with interrupts.scope:
            await work(interrupts.again)
        tasks.cancel_scope.cancel()
    return interrupts.came


async def _watch_signals(
    interrupts: Interrupts, *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        task_status.started()
        async for _ in received:
            interrupts.take()


@contextmanager
def stop_signal() -> Iterator[int]:
    """Return a pipe that becomes readable on Ctrl-C and SIGTERM.

    The interpreter writes to the pipe when the signal arrives. A handler in Python would run only
    after the current system call, which may block until there is something to read.
    """
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    before = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)
    }
    woken = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    try:
        yield readable
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(readable)
        os.close(writable)
