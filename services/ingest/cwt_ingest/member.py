"""Description of a member process, from which others can tell whether it is alive.

A pid is valid only in one pid namespace of one running kernel, and is reused. So a member also
records the boot id of the kernel, the namespace, and the start time of the process. On systems
without Linux's ``/proc``, these are unknown, and only the silence of a process shows that it is
dead.
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
#: State of a process that has ended and that its parent has not waited for yet.
ENDED_STATES = ("Z", "X")


class Member(BaseModel):
    """A process, as described to the others."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    instance: str
    #: For display only.
    host: str = ""
    #: Boot id of the kernel and pid namespace; None if unknown.
    system: str | None = None
    pid: Annotated[int, Field(ge=0, lt=2**31)] = 0
    #: Start time of the process, clock ticks since boot.
    started_ticks: int | None = None


def this_process(instance: str) -> Member:
    """Return the description of the calling process."""
    stat = _stat(os.getpid())
    return Member(
        instance=instance,
        host=platform.node(),
        system=_this_system(),
        pid=os.getpid(),
        started_ticks=None if stat is None else int(stat[START_FIELD]),
    )


def read_member(value: bytes) -> Member | None:
    """Return the process that a key describes, or None if the key is about to be removed."""
    if not value:
        return None
    try:
        return Member.model_validate_json(value)
    except ValidationError:
        return Member(instance="unknown")  # an unknown format: only silence shows that it is dead


def is_gone(member: Member) -> bool:
    """Return whether `member` was a process of this system and has certainly ended."""
    if member.system is None or member.system != _this_system():
        return False
    try:
        os.kill(member.pid, 0)  # /proc may hide processes of other users; kill does not
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it exists and belongs to another user
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
    # The command's name, in parentheses, may itself contain parentheses.
    return text.rpartition(")")[2].split()
