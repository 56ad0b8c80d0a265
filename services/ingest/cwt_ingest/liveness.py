"""Which processes share the streams, and which has which: pure decisions.

Rules
-----
- Every process keeps a key of its own, and replaces it every `renew_s`. Whoever has a key is there.
- Nobody compares clocks. A key that another process has seen unchanged for `term_s` on its own
  clock is that of a dead one, and so is, at once, that of a process of this very system that is no
  more. The key is then removed, by a compare-and-swap on the revision that was seen.
- A process that could not renew its key for `give_up_s` on its own clock leaves its streams, and
  joins again when it can. That is less than the term, and counts from before its last renewal was
  sent, so it follows nothing when its key is removed.
- Of the processes that are there, a stream belongs to the one whose hash with it is the highest
  (rendezvous hashing, Thaler & Ravishankar, IEEE/ACM Trans. Netw. 6 (1998) 1). One more or one
  fewer moves that one's share alone.
- Having a stream is a fact of its own, in its checkpoint (`ownership`): the one it belongs to waits
  until the one that has it lets go, or is there no more.
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
    """How often, and for how long; seconds."""

    #: A process renews its key this often.
    renew_s: float = 1.0
    #: A request that went to a server which then died is never answered: it is sent again.
    attempt_s: float = 1.0
    #: A process that did not succeed for so long ends.
    give_up_s: float = 5.0
    #: A key that was not renewed for so long is a dead process's.
    term_s: float = 6.0
    #: Others are looked at this often.
    look_s: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.renew_s < self.give_up_s < self.term_s:
            raise ValueError(f"0 < renew_s < give_up_s < term_s does not hold: {self}")


@dataclass(frozen=True, kw_only=True)
class PeerObservation:
    """Another process's key, as this one sees it."""

    member: Member
    revision: int
    #: For how long this process has seen this revision.
    unchanged_s: float
    #: It was a process of this system, and is no more.
    gone: bool


@dataclass(frozen=True)
class Renew:
    """Replace the key, if its revision is still this one."""

    revision: int


@dataclass(frozen=True)
class Lost:
    """The key is no longer this process's, for this reason."""

    reason: str


def is_dead(observation: PeerObservation, timing: Timing) -> bool:
    """Decide whether another process is there no more."""
    return observation.gone or observation.unchanged_s >= timing.term_s


def still_mine(found: Member | None, revision: int, me: Member) -> Renew | Lost:
    """Decide what a process does whose renewal found another revision than its last."""
    if found == me:  # a renewal whose answer did not come back
        return Renew(revision)
    return Lost("others took this process for dead and go on with its streams")


def assigned_instance(stream: str, instances: Iterable[str]) -> str | None:
    """Return the one of `instances` that the stream is assigned to; the same in every process."""
    return max(instances, key=lambda each: (_weight(stream, each), each), default=None)


def _weight(stream: str, instance: str) -> bytes:
    return hashlib.sha256(f"{stream}\n{instance}".encode()).digest()
