"""Detect the start and end of stretches in which a channel has no values.

A stretch of a channel begins with a missing sample (NaN) and ends with the last one that is
followed by `RECOVERED_S` of samples with values. So a loose contact, which loses single samples,
is one stretch instead of an event per sample. One finding reports all channels whose stretches
begin in a chunk, and another one those whose stretches end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cwt_ingest.accounting import Finding
from cwt_schemas.checkpoint import MissingState
from cwt_schemas.message import listed

__all__ = ["RECOVERED_S", "MissingChannels"]

#: Time with only valid samples after which a channel has recovered.
RECOVERED_S = 1.0
#: Number of channels that an event names; the others are counted.
MAX_NAMED = 5

Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class MissingChannels:
    """Open stretches, at most one per channel.

    Attributes
    ----------
    first, last, n : ndarray, shape (channels,)
        First and newest missing sample, and how many are missing; -1, -1 and 0 where a channel has
        values.
    """

    first: Counts
    last: Counts
    n: Counts

    @classmethod
    def of(cls, state: MissingState, channels: int) -> MissingChannels:
        """Return the state for `n` channels from a checkpoint."""
        first, last, n = (np.full(channels, each, np.int64) for each in (-1, -1, 0))
        columns = list(state.channels)
        first[columns], last[columns], n[columns] = state.first, state.last, state.n
        return cls(first=first, last=last, n=n)

    @cached_property
    def are_none(self) -> bool:
        """Whether all channels have values."""
        return not (self.first >= 0).any()

    @cached_property
    def state(self) -> MissingState:
        """The state as stored in a checkpoint."""
        columns = np.flatnonzero(self.first >= 0)
        first, last, n = (each[columns].tolist() for each in (self.first, self.last, self.n))
        return MissingState(
            channels=tuple(columns.tolist()), first=tuple(first), last=tuple(last), n=tuple(n)
        )

    def after(
        self, first: int, samples: NDArray[np.generic], *, names: Sequence[str], patience: int
    ) -> tuple[MissingChannels, list[Finding]]:
        """Return the stretches after `samples` (time, channel), and the findings to report.

        Parameters
        ----------
        first
            Position of the first row of `samples`.
        names
            Names of the channels.
        patience
            Number of consecutive valid samples that end a stretch.
        """
        is_float = samples.dtype.kind == "f"
        if self.are_none and not (is_float and np.isnan(samples).any()):
            return self, []
        absent = np.isnan(samples) if is_float else np.zeros(samples.shape, bool)
        end, counts = first + len(samples), absent.sum(axis=0)
        has = counts > 0
        begin = np.where(has, first + absent.argmax(axis=0), end)
        newest = np.where(has, end - 1 - absent[::-1].argmax(axis=0), self.last)
        ended = (self.first >= 0) & (begin - 1 - self.last >= patience)
        goes_on = (self.first >= 0) & ~ended
        begins = has & ~goes_on
        now = MissingChannels(
            first=np.where(begins, begin, np.where(goes_on, self.first, -1)),
            last=np.where(has | goes_on, newest, -1),
            n=counts + np.where(goes_on, self.n, 0),
        )
        over = has & (end - 1 - newest >= patience)
        findings = [
            *self._recovered(ended, names),
            *_begun(begins, now.first, absent, names),
            *now._recovered(over, names),
        ]
        return now._without(over), findings

    def _without(self, columns: NDArray[np.bool_]) -> MissingChannels:
        first, last = np.where(columns, -1, self.first), np.where(columns, -1, self.last)
        return MissingChannels(first=first, last=last, n=np.where(columns, 0, self.n))

    def _recovered(self, columns: NDArray[np.bool_], names: Sequence[str]) -> Iterator[Finding]:
        if columns.any():
            first, last = int(self.first[columns].min()), int(self.last[columns].max())
            most = "up to " if columns.sum() > 1 else ""
            yield Finding(
                kind="recovered",
                first_sample=first,
                n_samples=last + 1 - first,
                detail=f"{_named(columns, names)} values again from sample {last + 1} on; "
                f"{most}{self.n[columns].max()} of {last + 1 - first} samples had none",
            )


def _begun(
    columns: NDArray[np.bool_], first: Counts, absent: NDArray[np.bool_], names: Sequence[str]
) -> Iterator[Finding]:
    if columns.any():
        begin = int(first[columns].min())
        yield Finding(
            kind="missing",
            first_sample=begin,
            n_samples=int(absent[:, columns].any(axis=1).sum()),
            detail=f"{_named(columns, names)} no value (NaN or infinite) from sample {begin} on",
        )


def _named(columns: NDArray[np.bool_], names: Sequence[str]) -> str:
    chosen = [names[column] for column in np.flatnonzero(columns).tolist()]
    if len(chosen) == 1:
        return f"channel {chosen[0]} has"
    return f"channels {listed(chosen, MAX_NAMED)} have"
