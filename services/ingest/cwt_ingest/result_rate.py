"""Rate at which a stream writes results, and its limit.

Results are measured as float32 and without masks, which most of them do not have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from cwt_ingest.lanes import Lane
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.errors import Unprocessable
from cwt_schemas.limits import MAX_BANDS
from cwt_schemas.stream import StreamDefinition

__all__ = ["RESULTS_BYTES_PER_S", "check_result_rate", "result_rate"]

#: Default limit: 2,016 pairs of 32 scales at 250 Hz, about twice. It fills a result log of the
#: default size in a minute, and is what a few workers and a disk can sustain.
RESULTS_BYTES_PER_S = 64 * 1024 * 1024

Plan = Callable[[StreamDefinition], Iterable[Lane]]


def result_rate(lanes: Iterable[Lane], fs_hz: float) -> float:
    """Return the size of the results per second of signal, bytes."""
    return sum(
        (lane.results.window_bytes + lane.messages * lane.results.header_bytes) * fs_hz / lane.tile
        for lane in lanes
    )


def check_result_rate(definition: StreamDefinition, plan: Plan, limit: int) -> float:
    """Return the rate of a stream in bytes per second.

    Parameters
    ----------
    definition
        The stream.
    plan
        Returns the lanes of a definition.
    limit
        Largest rate, bytes per second.

    Raises
    ------
    Unprocessable
        The rate is above the limit; the message states it, and what would fit.
    """
    rates = {spec.name: _rate_of(definition, spec, plan) for spec in definition.analyses}
    total = sum(rates.values())
    if total <= limit:
        return total
    name = max(rates, key=lambda each: rates[each])
    spec = definition.analysis(name)
    assert spec is not None  # noqa: S101 - the name is one of its analyses
    most = limit - (total - rates[name])
    problem = (
        f"the stream would write {_megabytes(total)} of results, {_megabytes(rates[name])} of them "
        f"in this analysis, at most {_megabytes(limit)} are allowed (CWT_RESULTS_BYTES_PER_S): "
        f"{_advice(definition, spec, plan, most)}"
    )
    raise Unprocessable.of({f"analyses.{name}": problem})


def _rate_of(definition: StreamDefinition, spec: AnalysisSpec, plan: Plan) -> float:
    alone = definition.model_copy(update={"analyses": (spec,)})
    return result_rate(plan(alone), definition.fs_hz)


def _advice(definition: StreamDefinition, spec: AnalysisSpec, plan: Plan, most: float) -> str:
    """Say what would fit into `most` bytes per second."""
    general = "analyse fewer channels, or lower fmax_hz or voices_per_octave"
    if spec.pairs != "all":
        return general
    advice = []
    if most > 0:
        every = math.ceil(_rate_of(definition, spec, plan) / most) * spec.decimate
        advice.append(f"set decimate to {every} or more")
    if not spec.bands:
        whole = spec.model_copy(update={"bands": ((spec.fmin_hz, spec.fmax_hz),)})
        bands = min(math.floor(most / _rate_of(definition, whole, plan)), MAX_BANDS)
        if bands > 0:
            advice.append(f"use bands: {bands} of the whole range fit")
    return "; ".join([*advice, general])


def _megabytes(rate: float) -> str:
    return f"{rate / 1e6:.3g} MB/s"
