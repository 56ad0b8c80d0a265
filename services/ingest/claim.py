"""Who may hold the lease of ingest: the decision, from what is seen of it.

Rules
-----
- The lease is one key. Its holder replaces it every `renew_s`, so its revision goes on changing.
- Nobody compares clocks. A standby looks at the revision, and one that it has seen unchanged for
  `term_s` on its own clock is free.
- A holder that could not renew for `give_up_s` on its own clock ends. That is less than the term,
  and counts from before its last renewal was sent, so it has ended when the lease is free.
- Every claim is a compare-and-swap on the revision that was seen: of many standbys one succeeds.
- A lease that was given back is free at once, and so is one whose holder was a process of this
  very system and is no more.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.ingest.holder import Holder

__all__ = ["Lost", "Sight", "Take", "Timing", "Wait", "as_holder", "as_standby"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How often, and for how long; seconds."""

    #: A holder renews the lease this often.
    renew_s: float = 1.0
    #: A request that went to a server which then died is never answered: it is sent again.
    attempt_s: float = 1.0
    #: A holder that did not succeed for so long has lost the lease.
    give_up_s: float = 5.0
    #: A lease that was not renewed for so long is free.
    term_s: float = 6.0
    #: A standby looks at the lease this often.
    look_s: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.renew_s < self.give_up_s < self.term_s:
            raise ValueError(f"0 < renew_s < give_up_s < term_s does not hold: {self}")


@dataclass(frozen=True, kw_only=True)
class Sight:
    """The lease as one process sees it."""

    #: 0: nobody ever held it.
    revision: int
    #: None: nobody holds it.
    holder: Holder | None
    #: For how long this process has seen this revision.
    unchanged_s: float
    #: The holder was a process of this system, and is no more.
    gone: bool


@dataclass(frozen=True)
class Take:
    """Replace the lease, if its revision is still this one."""

    revision: int


@dataclass(frozen=True)
class Wait:
    """Somebody else holds the lease."""

    holder: Holder


@dataclass(frozen=True)
class Lost:
    """The lease is no longer this process's, for this reason."""

    reason: str


def as_standby(sight: Sight, me: Holder, timing: Timing) -> Take | Wait:
    """Decide what a process does that would like to hold the lease."""
    holder = sight.holder
    if holder is None or holder == me:  # its own: a claim whose answer did not come back
        return Take(sight.revision)
    if sight.gone or sight.unchanged_s >= timing.term_s:
        return Take(sight.revision)
    return Wait(holder)


def as_holder(sight: Sight, me: Holder) -> Take | Lost:
    """Decide what the holder does whose renewal found another revision than its last."""
    if sight.holder == me:  # a renewal whose answer did not come back
        return Take(sight.revision)
    if sight.holder is None:
        return Lost("somebody removed the lease")
    return Lost(f"{sight.holder.instance} on {sight.holder.host} holds the lease now")
