"""Sample accounting: what a chunk means, given what came before it.

Positions are sample indices from the start of the epoch. A chunk is compared with the sample
expected next::

    first == expected   the chunk continues the stream
    first >  expected   a gap: the samples between are missing
    first <  expected   an overlap: what is known already is dropped, what is new is kept

After a gap longer than any window the analysis restarts. `confirmation` has already confirmed such
a gap, and any gap that only time stamps show.

A chunk without an index continues the stream after the samples that its time stamp shows as lost. A
new epoch means that the device restarted, and resets the account. An epoch ends when another one
begins or with its final chunk; later chunks of it are rejected.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

__all__ = ["Accepted", "Finding", "Position", "Refused", "account", "finished"]

#: Ended epochs to remember, to distinguish their late chunks from those of a new epoch.
ENDED_EPOCHS = 16

FindingKind = Literal["gap", "overlap", "reset", "missing", "recovered"]


@dataclass(frozen=True, kw_only=True)
class Position:
    """Position in a stream: the current epoch and the next expected sample."""

    epoch: str | None = None
    expected: int = 0
    ended: tuple[str, ...] = ()
    #: False once a chunk came without an index; None before the first chunk.
    sequenced: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A problem to report to the readers of the stream as an event."""

    kind: FindingKind
    first_sample: int
    n_samples: int
    detail: str


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The chunk's samples from `skip` on are new and start at `first_sample`."""

    position: Position
    first_sample: int
    skip: int
    #: The analysis restarts at `first_sample`.
    restart: bool = False
    findings: tuple[Finding, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The chunk has no usable samples."""

    position: Position
    reason: str


def account(
    position: Position,
    *,
    epoch: str,
    first_sample: int | None,
    n: int,
    max_gap: int,
    late: int = 0,
) -> Accepted | Refused:
    """Classify the `n` samples of a chunk as new, repeated, or after a gap.

    Parameters
    ----------
    position
        The account so far.
    epoch, first_sample, n
        Header fields of the chunk. If `first_sample` is None, the chunk continues where the last
        one ended.
    max_gap
        Longest gap, in samples, that is filled with missing data. After a longer one the analysis
        restarts.
    late
        Samples lost before a chunk without an index, according to its time stamp.
    """
    if epoch in position.ended:
        return Refused(position=position, reason=_why_ended(position, epoch))
    if epoch != position.epoch:
        return _new_epoch(position, epoch, first_sample or 0, n, sequenced=first_sample is not None)
    sequenced = first_sample is not None and position.sequenced is not False
    first = position.expected + late if first_sample is None else first_sample
    end = first + n
    here = replace(position, sequenced=sequenced)
    if first < position.expected:
        return _overlap(here, first, n)
    advanced = replace(here, expected=end)
    if first == position.expected:
        return Accepted(position=advanced, first_sample=first, skip=0)
    lost = first - position.expected
    gap = Finding(
        kind="gap",
        first_sample=position.expected,
        n_samples=lost,
        detail=f"{lost} samples did not arrive"
        + (", by the device's time stamps" if first_sample is None else "")
        + ("" if lost <= max_gap else f"; more than {max_gap}, so the analysis restarts"),
    )
    return Accepted(
        position=advanced, first_sample=first, skip=0, restart=lost > max_gap, findings=(gap,)
    )


def finished(position: Position) -> Position:
    """Return the account after the final chunk of the current epoch, which ends it."""
    if position.epoch is None or position.epoch in position.ended:
        return position
    return replace(position, ended=(*position.ended, position.epoch)[-ENDED_EPOCHS:])


def _why_ended(position: Position, epoch: str) -> str:
    if epoch == position.epoch:
        return f"epoch {epoch!r} ended with its final chunk, at sample {position.expected}"
    return f"epoch {epoch!r} has ended; the current one is {position.epoch!r}"


def _new_epoch(position: Position, epoch: str, first: int, n: int, *, sequenced: bool) -> Accepted:
    findings: tuple[Finding, ...] = ()
    ended = finished(position).ended
    if position.epoch is not None:
        detail = f"epoch {position.epoch!r} ended at sample {position.expected}, "
        detail += f"epoch {epoch!r} begins"
        if position.epoch not in position.ended:
            detail += " without a final chunk of the former: the device restarted, or another "
            detail += "publisher sends to this stream"
        findings = (Finding(kind="reset", first_sample=first, n_samples=n, detail=detail),)
    started = Position(epoch=epoch, expected=first + n, ended=ended, sequenced=sequenced)
    return Accepted(position=started, first_sample=first, skip=0, restart=True, findings=findings)


def _overlap(position: Position, first: int, n: int) -> Accepted:
    known = min(position.expected - first, n)
    finding = Finding(
        kind="overlap",
        first_sample=first,
        n_samples=known,
        detail=(
            f"a duplicate: all {n} samples were already received"
            if known == n
            else f"{known} of {n} samples were already received and are discarded"
        ),
    )
    return Accepted(
        position=replace(position, expected=max(position.expected, first + n)),
        first_sample=position.expected,
        skip=known,
        findings=(finding,),
    )
