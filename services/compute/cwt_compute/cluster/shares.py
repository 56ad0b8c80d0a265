"""Shares of a simulation: groups of tasks, their messages, and their assignment to workers.

The module does no I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cwt_schemas.analysis import Wavelet as WaveletName
from cwt_schemas.errors import Unprocessable
from cwt_schemas.limits import MAX_SHARE_TASKS
from cwt_schemas.simulation import NullRowsShape, SimulateReply, SimulateRequest, SimulationTask
from pycwt_mod.significance.simulation import ALGORITHM_VERSION
from pycwt_mod.significance.surrogates import BINS, SurrogateOctave, SurrogateTask, run_task
from pycwt_mod.smoothing import ScaleBoxcar
from pycwt_mod.wavelets import DOG, Morlet, Paul, Wavelet, wavelet_from_name

__all__ = ["Ledger", "answer_simulate", "histograms_of", "request_of", "shares_of", "wavelet_name"]

#: Pairs times rows of a share with more than one task, which takes about a tenth of a second.
SHARE_ROWS = 8000

T = TypeVar("T")
Histogram = NDArray[np.int64]


def shares_of(tasks: Sequence[SurrogateTask]) -> tuple[tuple[SurrogateTask, ...], ...]:
    """Return the tasks in shares of adjacent tasks of the same octave."""
    return tuple(
        piece
        for _, same in groupby(tasks, key=lambda task: (task.rows, task.entropy))
        for piece in _pieces(same)
    )


def _pieces(tasks: Iterator[SurrogateTask]) -> Iterator[tuple[SurrogateTask, ...]]:
    piece: list[SurrogateTask] = []
    rows = 0
    for task in tasks:
        piece.append(task)
        rows += task.pairs * len(task.rows.scales)
        if rows >= SHARE_ROWS or len(piece) == MAX_SHARE_TASKS:
            yield tuple(piece)
            piece, rows = [], 0
    if piece:
        yield tuple(piece)


def request_of(share: Sequence[SurrogateTask]) -> SimulateRequest:
    """Return the request to another worker for a share.

    Raises
    ------
    ValueError
        The wavelet has no name in messages.
    """
    rows = share[0].rows
    name, param = wavelet_name(rows.wavelet)
    return SimulateRequest(
        algorithm=ALGORITHM_VERSION,
        rows=NullRowsShape(
            wavelet=name,
            param=param,
            scales=rows.scales,
            keep_first=rows.keep[0],
            keep_end=rows.keep[1],
            step=rows.step,
            length=rows.length,
            record=rows.record,
            al1=rows.al1,
            al2=rows.al2,
            others=rows.others,
            statistic=rows.statistic,
            centred=rows.centred,
            boxcar_first=rows.boxcar.first,
            boxcar_weights=rows.boxcar.weights,
            exact_ends=rows.exact_ends,
        ),
        seed=str(share[0].entropy),
        tasks=tuple(
            SimulationTask(pairs=task.pairs, octave=task.spawn_key[0], chunk=task.spawn_key[1])
            for task in share
        ),
    )


def answer_simulate(request: SimulateRequest) -> SimulateReply:
    """Return the histograms of a share, which equal those that the requester would compute.

    Raises
    ------
    Unprocessable
        The requester has a different version of the algorithm, or the request is invalid.
    """
    if request.algorithm != ALGORITHM_VERSION:
        raise Unprocessable.of(
            {"algorithm": f"this worker has version {ALGORITHM_VERSION}, whose results differ"}
        )
    try:
        rows = _rows(request.rows)
    except ValueError as error:
        raise Unprocessable.of({"rows": str(error)}) from error
    histograms = [
        run_task(
            SurrogateTask(
                rows=rows,
                pairs=task.pairs,
                entropy=int(request.seed),
                spawn_key=(task.octave, task.chunk),
            )
        )
        for task in request.tasks
    ]
    return SimulateReply(histograms=np.concatenate(histograms).astype("<i4"))


def histograms_of(reply: SimulateReply, share: Sequence[SurrogateTask]) -> tuple[Histogram, ...]:
    """Return the histogram of each task of the share.

    Raises
    ------
    ValueError
        The shape of the reply does not match the share.
    """
    keep = share[0].rows.keep
    shape = (len(share), keep[1] - keep[0], BINS)
    return tuple(np.asarray(reply.histograms).astype(np.int64).reshape(shape))


def _rows(shape: NullRowsShape) -> SurrogateOctave:
    return SurrogateOctave(
        wavelet=wavelet_from_name(shape.wavelet, shape.param),
        scales=shape.scales,
        keep=(shape.keep_first, shape.keep_end),
        step=shape.step,
        length=shape.length,
        record=shape.record,
        al1=shape.al1,
        al2=shape.al2,
        others=shape.others,
        statistic=shape.statistic,
        centred=shape.centred,
        boxcar=ScaleBoxcar(shape.boxcar_first, shape.boxcar_weights),
        exact_ends=shape.exact_ends,
    )


def wavelet_name(wavelet: Wavelet) -> tuple[WaveletName, float]:
    """Return the name and parameter of a wavelet in messages.

    Raises
    ------
    ValueError
        The wavelet has no name in messages.
    """
    name: WaveletName
    match wavelet:
        case Morlet():
            name, param = "morlet", float(wavelet.f0)
        case Paul():
            name, param = "paul", float(wavelet.m)
        case DOG():
            name, param = "dog", float(wavelet.m)
        case _:
            raise ValueError(
                f"cannot send {wavelet=}: only Morlet, Paul and DOG have a name in messages; use "
                "another backend, such as 'joblib'"
            )
    if wavelet_from_name(name, param) != wavelet:
        raise ValueError(
            f"cannot send {wavelet=}: it differs from {name} with that parameter; use another "
            "backend, such as 'joblib'"
        )
    return name, param


class Ledger(Generic[T]):
    """Assignment of `count` shares to workers, and their results.

    Other workers take shares from the front, the coordinator takes them from the back, so that they
    meet as late as possible. When all shares are taken, the coordinator computes the pending ones
    itself, oldest first. So it waits for no other worker, and a worker that died or hangs costs one
    share. All results of a share are equal, so only the first is stored.
    """

    def __init__(self, count: int) -> None:
        self._todo = deque(range(count))
        #: Shares at other workers, oldest first.
        self._out: list[int] = []
        self._own: set[int] = set()
        self._results: dict[int, T] = {}
        self._count = count

    def take_for_other(self) -> int | None:
        """Return a share for another worker, or None if all are taken."""
        if not self._todo:
            return None
        share = self._todo.popleft()
        self._out.append(share)
        return share

    def take_for_self(self) -> int | None:
        """Return a share to compute here; None if all have results or are being computed here."""
        if self._todo:
            share = self._todo.pop()
        else:
            left = [each for each in self._out if each not in self._own]
            if not left:
                return None
            share = left[0]
        self._own.add(share)
        return share

    def release(self, share: int) -> None:
        """Record that another worker will not compute a share."""
        if share in self._out:
            self._out.remove(share)
            if share not in self._results and share not in self._own:
                self._todo.appendleft(share)

    def arrived(self, share: int, result: T) -> None:
        """Record a result."""
        self._results.setdefault(share, result)
        if share in self._out:
            self._out.remove(share)

    def results(self) -> tuple[T, ...]:
        """Return all results, in order of the shares."""
        return tuple(self._results[share] for share in range(self._count))
