"""Where the command meets the process: exit codes, signals, logs, the terminal."""

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

#: As shells report a process that SIGINT ended.
INTERRUPTED = 130


def program() -> str:
    """Return the command as this terminal can run it: by its name, or by where it is installed."""
    name = "pycwt-mod"
    if shutil.which(name):
        return name
    installed = Path(sysconfig.get_path("scripts")) / name
    return os.path.relpath(installed) if installed.exists() else "python -m cwt_cli"


def run_command(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work`, `reported`."""
    with reported():
        anyio.run(work)


@contextmanager
def reported() -> Iterator[None]:
    """Turn an expected fault into one sentence on standard error and its exit code."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        if _reader_gone(error):
            # As typer does where no event loop runs: what is still buffered goes nowhere.
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
    """Tell whether all that happened is that whoever read the output has ended, as `head` does."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_reader_gone, error.exceptions))
    return isinstance(error, BrokenPipeError)


def command_log(*, quiet: bool = False) -> Log:
    """Return the command's own log on standard error; `quiet`: warnings and worse."""
    settings = load_settings(ServiceSettings)
    if quiet:
        settings = settings.model_copy(update={"log_level": "warning"})
    configure_logs(settings, sys.stderr)
    return logger("pycwt-mod")


def given_server() -> ConnectSettings | None:
    """Return how to connect to the server that the environment names, if it does."""
    return server() if os.environ.get("CWT_NATS_URL") else None


def server() -> ConnectSettings:
    """Return how to connect, as the environment says; by default to the server that `up` starts."""
    return load_settings(ServiceSettings).nats


class Interrupts:
    """What Ctrl-C and SIGTERM did: the first one cancels, the second one sets `again`."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.again = anyio.Event()
        self.came = False

    def take(self) -> None:
        """Note a signal."""
        if self.came:
            self.again.set()
        self.came = True
        self.scope.cancel()


async def stoppable(work: Callable[[anyio.Event], Awaitable[None]]) -> bool:
    """Run `work` until it ends or the user stops it; return whether the user did.

    `work` gets the event that a second signal sets.
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
    """Turn Ctrl-C and SIGTERM into something to read.

    The interpreter writes to the pipe when the signal arrives. A handler in Python would run only
    after the next system call, which may be the one that waits for something to read.
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
