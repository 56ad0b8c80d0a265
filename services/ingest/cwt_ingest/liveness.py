"""Decide which processes are alive and which streams each follows. Pure functions.

Rules
-----
- Every process has its own key and replaces it every `renew_s`. A process with a key is a member.
- Clocks are not compared. A process is dead if another one has seen its key unchanged for `term_s`
  on its own clock, or, immediately, if it ran on the same system and has ended. The key is then
  removed by a compare-and-swap on the revision that was seen.
- A process that could not renew its key for `give_up_s` on its own clock leaves its streams, and
  joins again when it can. That is less than the term, and counts from before its last renewal was
  sent, so it follows nothing when its key is removed.
- A stream is assigned to the member with the highest hash of (member, stream) (rendezvous hashing,
  Thaler & Ravishankar, IEEE/ACM Trans. Netw. 6 (1998) 1). Adding or removing a member moves only
  the streams of that member.
- Ownership is separate from assignment and recorded in the stream's checkpoint (`ownership`): the
  assigned process waits until the owner releases the stream or is dead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cwt_ingest.member import Member

__all__ = [
    "Lost",
    "PeerObservation",
    "Renew",
    "Timing",
    "assigned_instance",
    "is_dead",
    "still_mine",
]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Intervals and deadlines of membership, seconds."""

    #: Interval of a process's renewals.
    renew_s: float = 1.0
    #: Deadline of one renewal; a request to a server that then died is never answered.
    attempt_s: float = 1.0
    #: Time without a successful renewal after which a process leaves.
    give_up_s: float = 5.0
    #: Time without a renewal after which a process is considered dead.
    term_s: float = 6.0
    #: Interval of checks of the other processes.
    look_s: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.renew_s < self.give_up_s < self.term_s:
            raise ValueError(f"0 < renew_s < give_up_s < term_s does not hold: {self}")


@dataclass(frozen=True, kw_only=True)
class PeerObservation:
    """The key of another process, as observed by this one."""

    member: Member
    revision: int
    #: Time since this process first saw this revision, seconds.
    unchanged_s: float
    #: Whether it was a process of this system and has ended.
    gone: bool


@dataclass(frozen=True)
class Renew:
    """Replace the key if it still has this revision."""

    revision: int


@dataclass(frozen=True)
class Lost:
    """The process has lost its key, for this reason."""

    reason: str


def is_dead(observation: PeerObservation, timing: Timing) -> bool:
    """Decide whether another process is dead."""
    return observation.gone or observation.unchanged_s >= timing.term_s


def still_mine(found: Member | None, revision: int, me: Member) -> Renew | Lost:
    """Decide what to do when a renewal finds an unexpected revision."""
    if found == me:  # an earlier renewal whose reply was lost
        return Renew(revision)
    return Lost("the other ingests declared this process dead and took over its streams")


def assigned_instance(stream: str, instances: Iterable[str]) -> str | None:
    """Return the one of `instances` that the stream is assigned to; the same in every process."""
    return max(instances, key=lambda each: (_weight(stream, each), each), default=None)


def _weight(stream: str, instance: str) -> bytes:
    return hashlib.sha256(f"{stream}\n{instance}".encode()).digest()
