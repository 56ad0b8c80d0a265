"""Child processes that are kept running.

A child that ends is started again after a back-off. Two ends are final and stop all of them:
settings that cannot be used (exit code 78, EX_CONFIG), and a child that keeps ending right after
its start. Cancelling `Supervisor.run` stops the children: SIGTERM, time to drain, then SIGKILL.
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

#: From sysexits.h: starting again is no use.
EX_CONFIG = 78
#: A child that ran for so long had started well: its next end counts as the first again.
STEADY_S = 20.0
#: The services give up work in flight after 25 s; this is a little longer.
STOP_S = 30.0
#: Some 12 seconds in all.
RESTART = RetryPolicy(first_delay_s=0.5, factor=2.0, max_delay_s=10.0, max_tries=6)
#: Lines of a child's log that its failure repeats.
TAIL_LINES = 4


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is to run, and what its log is called."""

    name: str
    command: tuple[str, ...]
    #: Variables besides those of all programs.
    variables: Mapping[str, str] = field(default_factory=dict)


class ProgramFailedError(Exception):
    """A child ended and is not started again; the message says which, why, and what it said."""


def after_end(code: int, *, tries: int, policy: RetryPolicy) -> Decision:
    """Decide what follows when a child ended for the `tries`-th time in a row."""
    if code == EX_CONFIG:
        return GiveUp("its settings are invalid")
    decision = decide(policy, tries=tries, transient=True)
    if isinstance(decision, GiveUp):
        return GiveUp(f"it ended with exit code {code} right after its start, {tries} times")
    return decision


class Supervisor:
    """Keeps programs running.

    Parameters
    ----------
    programs
        One child each.
    environment
        The whole environment of the children.
    log
        Where starts and ends are told.
    log_folder
        Where each child's output goes, as ``<name>.log``; None: to this process's standard error.
    policy
        How often a child is started again.
    kill
        Once set, children that are stopping are waited for no longer.
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
            In an exception group: a child that is not started again.
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
            # A group of its own: Ctrl-C in the terminal reaches this process alone, which stops
            # the children in order.
            process = await anyio.open_process(
                guarded(list(program.command)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self._environment, **program.variables},
                start_new_session=True,
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
