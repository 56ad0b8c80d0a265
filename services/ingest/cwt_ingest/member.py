"""One process among those that share the streams, described so that others know whether it lives.

A number of a process means something only within one pid namespace of one running kernel, and is
given to another process later. So a member names all three: the kernel by its boot, the namespace,
and when the process started. Where the system does not tell (it is Linux's ``/proc`` that does),
nobody is ever taken for dead, and its silence decides.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = ["Member", "is_gone", "read_member", "this_process"]

PROC = Path("/proc")
#: From proc_pid_stat(5), counted after the name of the command: the state, and the start time.
STATE_FIELD = 0
START_FIELD = 19
#: It has ended, and its parent has not asked for its exit code yet.
ENDED_STATES = ("Z", "X")


class Member(BaseModel):
    """One process, as the others see it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    instance: str
    #: For people; no decision rests on it.
    host: str = ""
    #: The boot of the kernel and the pid namespace; None where that cannot be known.
    system: str | None = None
    pid: Annotated[int, Field(ge=0, lt=2**31)] = 0
    #: When the process started, clock ticks since the boot.
    started_ticks: int | None = None


def this_process(instance: str) -> Member:
    """Return the description of the process that asks."""
    stat = _stat(os.getpid())
    return Member(
        instance=instance,
        host=platform.node(),
        system=_this_system(),
        pid=os.getpid(),
        started_ticks=None if stat is None else int(stat[START_FIELD]),
    )


def read_member(value: bytes) -> Member | None:
    """Return the process that a key describes, None if it is about to be removed."""
    if not value:
        return None
    try:
        return Member.model_validate_json(value)
    except ValidationError:
        return Member(instance="somebody")  # who wrote something else: its silence decides


def is_gone(member: Member) -> bool:
    """Return whether `member` was a process of this system and certainly is no more."""
    if member.system is None or member.system != _this_system():
        return False
    try:
        os.kill(member.pid, 0)  # /proc may hide the processes of other users; this does not
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it exists, and belongs to somebody else
    stat = _stat(member.pid)
    if stat is None or member.started_ticks is None:
        return False
    return int(stat[START_FIELD]) != member.started_ticks or stat[STATE_FIELD] in ENDED_STATES


def _this_system() -> str | None:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return None


def _stat(pid: int) -> list[str] | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The command's name, in parentheses, may hold anything, parentheses too.
    return text.rpartition(")")[2].split()
