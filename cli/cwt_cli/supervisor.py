"""Keep child processes running.

A child that exits is restarted after a back-off. Two cases are final and stop all children:
invalid settings (exit code 78, EX_CONFIG), and a child that repeatedly exits right after its start.
Cancelling `Supervisor.run` stops the children: SIGTERM, time to drain, then SIGKILL.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import anyio
from anyio.abc import Process

from cwt_runtime.process.orphan_guard import guarded
from cwt_runtime.retry import Decision, GiveUp, RetryPolicy, decide
from cwt_runtime.telemetry.logs import Action, Log

__all__ = ["Program", "ProgramFailedError", "Supervisor", "after_end"]

#: Exit code for invalid settings (sysexits.h); restarting cannot help.
EX_CONFIG = 78
#: Run time after which a start counts as successful and the retry counter is reset.
STEADY_S = 20.0
#: Time for children to stop; the services abandon work in flight after 25 s.
STOP_S = 30.0
#: Retries over about 12 seconds in total.
RESTART = RetryPolicy(first_delay_s=0.5, factor=2.0, max_delay_s=10.0, max_tries=6)
#: Number of lines of a child's log to include in its error message.
TAIL_LINES = 4


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program to run, and the name of its log."""

    name: str
    command: tuple[str, ...]
    #: Environment variables in addition to those of all programs.
    variables: Mapping[str, str] = field(default_factory=dict)
    #: File descriptors that it inherits.
    descriptors: tuple[int, ...] = ()


class ProgramFailedError(Exception):
    """A child exited and is not restarted; the message has its name, the reason and its output."""


def after_end(code: int, *, tries: int, policy: RetryPolicy) -> Decision:
    """Decide what to do after a child exited for the `tries`-th time in a row."""
    if code == EX_CONFIG:
        return GiveUp("its settings are invalid")
    decision = decide(policy, tries=tries, transient=True)
    if isinstance(decision, GiveUp):
        return GiveUp(f"it ended with exit code {code} right after its start, {tries} times")
    return decision


class Supervisor:
    """Keep programs running.

    Parameters
    ----------
    programs
        The programs, each of which runs as one child.
    environment
        The whole environment of the children.
    log
        Log for starts and exits.
    log_folder
        Folder for each child's output, ``<name>.log``; None: this process's standard error.
    policy
        Limits and delays of restarts.
    kill
        If set, stopping children are killed without waiting for them.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        environment: Mapping[str, str],
        log: Log,
        log_folder: Path | None = None,
        policy: RetryPolicy = RESTART,
        kill: anyio.Event | None = None,
    ) -> None:
        self._programs = tuple(programs)
        self._environment = dict(environment)
        self._log = log
        self._log_folder = log_folder
        self._policy = policy
        self._kill = kill or anyio.Event()

    async def run(self) -> None:
        """Run the programs until cancelled.

        Raises
        ------
        ProgramFailedError
            In an exception group, if a child is not restarted.
        """
        async with anyio.create_task_group() as tasks:
            for program in self._programs:
                tasks.start_soon(self._keep_running, program)

    async def _keep_running(self, program: Program) -> None:
        tries = 0
        while True:
            started = anyio.current_time()
            code = await self._run_once(program)
            tries = 1 if anyio.current_time() - started > STEADY_S else tries + 1
            decision = after_end(code, tries=tries, policy=self._policy)
            if isinstance(decision, GiveUp):
                self._log.error(Action.CHILD_DIED, child=program.name, exit_code=code)
                raise ProgramFailedError(
                    f"cannot run {program.name}: {decision.reason}{self._tail(program)}"
                )
            self._log.warning(
                Action.CHILD_DIED,
                child=program.name,
                exit_code=code,
                again_in_s=round(decision.delay_s, 1),
            )
            await anyio.sleep(decision.delay_s)

    async def _run_once(self, program: Program) -> int:
        with ExitStack() as files:
            output: IO[bytes] | None = None
            if self._log_folder is not None:
                output = files.enter_context(_log_path(self._log_folder, program).open("ab"))
            # Use a separate process group, so that Ctrl-C in the terminal reaches only this
            # process, which stops the children in order.
            process = await anyio.open_process(
                guarded(list(program.command)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self._environment, **program.variables},
                start_new_session=True,
                pass_fds=program.descriptors,
            )
        self._log.info(Action.CHILD_STARTED, child=program.name, pid=process.pid)
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                with anyio.CancelScope(shield=True):
                    await self._stop(process)

    async def _stop(self, process: Process) -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._kill_late, process)
            await process.wait()
            tasks.cancel_scope.cancel()

    async def _kill_late(self, process: Process) -> None:
        with anyio.move_on_after(STOP_S):
            await self._kill.wait()
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)

    def _tail(self, program: Program) -> str:
        if self._log_folder is None:
            return "; its output is above"
        path = _log_path(self._log_folder, program)
        lines = path.read_text(errors="replace").strip().splitlines()[-TAIL_LINES:]
        return f"; its log {path} ends with: " + " | ".join(lines)


def _log_path(folder: Path, program: Program) -> Path:
    return folder / f"{program.name}.log"
