"""The fields that all results of a window have in common. All functions are pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from cwt_runtime.analysis import AnalysisPlan
from cwt_schemas.analysis import Op
from cwt_schemas.errors import Unprocessable
from cwt_schemas.live import AnalysisWindow, Engine, InputSpan, ResultTimes, TimeAxis
from pycwt_mod import __version__
from pycwt_mod.streaming import OctaveLayout

__all__ = ["NOTHING", "NUMPY", "Provenance", "floats", "frozen", "layout_of", "shared_fields"]

T = TypeVar("T", bound=np.generic)

NUMPY = "numpy"
#: Backend of results that were not computed.
NOTHING = "none"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Worker that computed a result, and the time, nanoseconds UTC."""

    worker: str
    computed_ns: int


class SharedFields(TypedDict):
    """Fields of `AnalysisResult` and `PairsResult`."""

    stream: str
    epoch: str
    analysis: str
    op: Op
    octave: int
    t: TimeAxis
    fs_hz: float
    t0_ns: int | None
    t0_raw_ns: int | None
    input: InputSpan
    engine: Engine
    times_ns: ResultTimes


def shared_fields(
    window: AnalysisWindow, layout: OctaveLayout, backend: str, provenance: Provenance
) -> SharedFields:
    """Return the fields of the results of `window`; `backend` computed them."""
    step = layout.step * window.analysis.decimate
    return SharedFields(
        stream=window.stream,
        epoch=window.epoch,
        analysis=window.analysis.name,
        op=window.analysis.op,
        octave=window.octave,
        t=TimeAxis(first_sample=window.tile.first_sample, step=step, n=layout.tile // step),
        fs_hz=window.fs_hz,
        t0_ns=window.t0_ns,
        t0_raw_ns=window.t0_raw_ns,
        input=InputSpan(first_sample=window.first_sample, n_samples=window.n_samples),
        engine=Engine(
            library="pycwt_mod", version=__version__, backend=backend, worker=provenance.worker
        ),
        times_ns=ResultTimes(
            received=window.times_ns.received,
            windowed=window.times_ns.windowed,
            computed=provenance.computed_ns,
        ),
    )


def layout_of(plan: AnalysisPlan, window: AnalysisWindow) -> OctaveLayout:
    """Return the layout of the window's octave.

    Raises
    ------
    Unprocessable
        The window does not match its analysis.
    """
    if window.octave >= len(plan.layouts):
        problem = f"{window.octave} does not exist: the analysis has {len(plan.layouts)} octaves"
        raise Unprocessable.of({"octave": problem})
    layout = plan.layouts[window.octave]
    if window.tile.n != layout.tile:
        problem = f"must be {layout.tile} in octave {window.octave}, not {window.tile.n}"
        raise Unprocessable.of({"tile.n": problem})
    return layout


def floats(samples: NDArray[np.floating | np.integer]) -> NDArray[np.floating]:
    """Return the samples as floating point: integers as float32 if exact, else as float64."""
    if samples.dtype.kind == "f":
        return cast(NDArray[np.floating], samples)
    narrow = samples.astype(np.float32)
    exact = np.can_cast(samples.dtype, narrow.dtype) or np.array_equal(narrow, samples)
    return narrow if exact else samples.astype(np.float64)


def frozen(array: NDArray[T]) -> NDArray[T]:
    """Return the array read-only, so that a message does not copy it."""
    array.flags.writeable = False
    return array
