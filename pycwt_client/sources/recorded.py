"""A recording as an open source: its pieces as fast as they are asked for."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence

from anyio import to_thread

from pycwt_client.chunks import Piece
from pycwt_client.signals import Samples
from pycwt_client.sources.places import Run
from pycwt_client.sources.source import SourceInfo

__all__ = ["Recorded", "steps_of"]

NS = 1_000_000_000


def steps_of(chunk_s: float, fs_hz: float) -> int:
    """Return how many samples there are in a piece of about `chunk_s`."""
    return max(math.floor(chunk_s * fs_hz + 0.5), 1)


class Recorded:
    """Implements `Signals` over what can be read piece by piece.

    Parameters
    ----------
    info
        What there is.
    read
        Returns samples `start` to below `stop`, (time, channel); called in a thread, once at a
        time.
    chunk_s
        Seconds in one piece.
    t0_ns
        When the first sample was taken, if the recording says.
    runs
        Where what is read belongs; None: without a gap.
    """

    def __init__(
        self,
        info: SourceInfo,
        read: Callable[[int, int], Samples],
        *,
        chunk_s: float,
        t0_ns: int | None = None,
        runs: Sequence[Run] | None = None,
    ) -> None:
        self._info = info
        self._read = read
        self._step = steps_of(chunk_s, info.fs_hz)
        self._t0_ns = t0_ns
        whole = Run(start=0, stop=info.n_samples or 0, first_sample=0)
        self._runs = [whole] if runs is None else runs

    @property
    def info(self) -> SourceInfo:
        """What there is."""
        return self._info

    async def __aiter__(self) -> AsyncIterator[Piece]:
        for run in self._runs:
            for start in range(run.start, run.stop, self._step):
                stop = min(start + self._step, run.stop)
                samples = await to_thread.run_sync(self._read, start, stop)
                first = run.first_sample + start - run.start
                yield Piece(first_sample=first, t0_ns=self._time_of(first), samples=samples)

    def _time_of(self, sample: int) -> int | None:
        if self._t0_ns is None:
            return None
        return self._t0_ns + round(sample / self._info.fs_hz * NS)
