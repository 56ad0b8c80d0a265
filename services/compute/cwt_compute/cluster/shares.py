"""Shares of a simulation: its tasks cut and sent, bit for bit, and who has which.

All of it is pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cwt_schemas.errors import Unprocessable
from cwt_schemas.limits import MAX_SHARE_TASKS
from cwt_schemas.query import NullRowsShape, SimulateReply, SimulateRequest, SimulationTask
from cwt_schemas.stream import Wavelet as WaveletName
from pycwt_mod.significance.simulation import ALGORITHM_VERSION
from pycwt_mod.significance.surrogates import BINS, SurrogateOctave, SurrogateTask, run_task
from pycwt_mod.smoothing import ScaleBoxcar
from pycwt_mod.wavelets import DOG, Morlet, Paul, Wavelet, wavelet_from_name

__all__ = ["Ledger", "answer_simulate", "histograms_of", "request_of", "shares_of", "wavelet_name"]

#: Pairs times rows of one share, if it has more than one task: about a tenth of a second.
SHARE_ROWS = 8000

T = TypeVar("T")
Histogram = NDArray[np.int64]


def shares_of(tasks: Sequence[SurrogateTask]) -> tuple[tuple[SurrogateTask, ...], ...]:
    """Return the tasks in pieces for one worker each: neighbours, of the same octave."""
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
    """Return what asks another worker for a share.

    Raises
    ------
    ValueError
        The wavelet is none that a message can name.
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
    """Return the histograms of a share: those that whoever asks would get by itself.

    Raises
    ------
    Unprocessable
        The other side has another version of the algorithm, or asks for what cannot be.
    """
    if request.algorithm != ALGORITHM_VERSION:
        raise Unprocessable.of(
            {"algorithm": f"this worker has version {ALGORITHM_VERSION}, whose results differ"}
        )
    try:
        rows = _rows(request.rows)
    except ValueError as error:
        raise Unprocessable.of({"rows": str(error)}) from error
    found = [
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
    return SimulateReply(histograms=np.concatenate(found).astype("<i4"))


def histograms_of(reply: SimulateReply, share: Sequence[SurrogateTask]) -> tuple[Histogram, ...]:
    """Return the histogram of each task of the share.

    Raises
    ------
    ValueError
        The reply has another shape than the share.
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
        centred=shape.centred,
        boxcar=ScaleBoxcar(shape.boxcar_first, shape.boxcar_weights),
        exact_ends=shape.exact_ends,
    )


def wavelet_name(wavelet: Wavelet) -> tuple[WaveletName, float]:
    """Return what a message calls a wavelet.

    Raises
    ------
    ValueError
        It has no name.
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
        raise ValueError(f"{wavelet=} differs from the {name} that its name stands for")
    return name, param


class Ledger(Generic[T]):
    """Who has which of `count` shares; results of the same share are the same, so the first counts.

    Others take shares from the front, the coordinator takes them from the back, so they meet as
    late as possible. When nothing is left to take, the coordinator computes what is still out,
    longest out first: so it waits for no other worker, and a worker that died or hangs costs one
    share.
    """

    def __init__(self, count: int) -> None:
        self._todo = deque(range(count))
        #: Shares that others have, longest out first.
        self._out: list[int] = []
        self._own: set[int] = set()
        self._results: dict[int, T] = {}
        self._count = count

    def take_for_other(self) -> int | None:
        """Return a share to hand out; None if there is none."""
        if not self._todo:
            return None
        share = self._todo.popleft()
        self._out.append(share)
        return share

    def take_for_self(self) -> int | None:
        """Return a share to compute here; None if all have results, or are under way here."""
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
        """Take note that somebody else will not compute a share after all."""
        if share in self._out:
            self._out.remove(share)
            if share not in self._results and share not in self._own:
                self._todo.appendleft(share)

    def arrived(self, share: int, result: T) -> None:
        """Take note of a result."""
        self._results.setdefault(share, result)
        if share in self._out:
            self._out.remove(share)

    def results(self) -> tuple[T, ...]:
        """Return all results, in order of the shares."""
        return tuple(self._results[share] for share in range(self._count))
