"""The newest samples of analyses with provisional estimates, and the fits of their models.

`EstimateFeed` holds samples and the states of fits. It has no part in checkpoints: after a restart,
the replay of the log brings the samples back, and the models are fitted again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cwt_ingest.coverage import Coverage
from cwt_ingest.windows import narrow
from cwt_runtime.analysis import plan_provisional
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.errors import Unprocessable
from cwt_schemas.provisional import EstimateTimes, FitReply, FitRequest, NewestSamples
from cwt_schemas.stream import ProvisionalStatus, StreamDefinition
from pycwt_mod.streaming import ProvisionalPlan, SampleBuffer

__all__ = ["EstimateFeed", "Fit", "check_estimates"]

#: Samples are sent as float64 at most.
SAMPLE_BYTES = 8
#: Size of the newest samples of one analysis, which are sent with every chunk: 13 MB a second with
#: chunks of 20 ms.
MAX_NEWEST_BYTES = 256 * 1024
#: Bytes of a request in addition to its samples: analysis, names, state.
OVERHEAD_BYTES = 64 * 1024


@dataclass(kw_only=True)
class _Octave:
    """The models of one octave of one analysis."""

    interval: int
    needed: int
    state: bytes | None = None
    #: Position of the last fit that was requested.
    requested: int = 0
    in_progress: bool = False
    #: Position of the fit in use.
    fitted: int | None = None
    coverage: Coverage = field(default_factory=Coverage)
    #: What to report about the coverage.
    finding: str | None = None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A request to fit the models of one octave, and where they are used."""

    request: FitRequest
    octave: _Octave

    def done(self, reply: FitReply) -> None:
        """Use the models."""
        self.octave.state, self.octave.in_progress = reply.state, False
        self.octave.fitted = self.request.end
        finding = self.octave.coverage.update(reply.calibration)
        self.octave.finding = finding or self.octave.finding

    @property
    def is_wanted(self) -> bool:
        """Whether the stream has not restarted since."""
        return self.octave.in_progress

    def failed(self) -> None:
        """Forget the models, which may be what cannot be read; the next fit begins without any."""
        self.octave.requested, self.octave.in_progress = 0, False
        self.octave.state = self.octave.fitted = None


@dataclass(kw_only=True)
class _Estimated:
    """One analysis with estimates."""

    spec: AnalysisSpec
    columns: tuple[int, ...]
    needed: int
    octaves: list[_Octave] = field(default_factory=list)


def check_estimates(definition: StreamDefinition, *, max_message_bytes: int) -> None:
    """Check that the estimates of all analyses are possible.

    Raises
    ------
    Unprocessable
        They are not; the message states the numbers.
    """
    for spec in definition.analyses:
        try:
            plan = plan_provisional(spec, definition.fs_hz)
            if plan is not None:
                _check_size(spec, plan, max_message_bytes)
        except (ValueError, OverflowError) as error:
            raise Unprocessable.of({f"analyses.{spec.name}.provisional": str(error)}) from error


def _check_size(spec: AnalysisSpec, plan: ProvisionalPlan, max_message_bytes: int) -> None:
    row_bytes = len(spec.channels) * SAMPLE_BYTES
    for samples, limit, purpose in (
        (plan.estimate_samples, MAX_NEWEST_BYTES, "each estimate"),
        (max(plan.fit_samples), max_message_bytes - OVERHEAD_BYTES, "a fit of its models"),
    ):
        if samples * row_bytes > limit:
            raise ValueError(
                f"{purpose} needs {samples} samples of {len(spec.channels)} channels, "
                f"{samples * row_bytes} bytes, at most {limit} are allowed: raise fmin_hz, or "
                "divide the channels or frequencies among several analyses"
            )


class EstimateFeed:
    """The samples and models of all analyses of a stream with estimates.

    Parameters
    ----------
    definition
        The stream.
    first
        Position of the first sample to come.
    """

    def __init__(self, definition: StreamDefinition, first: int = 0) -> None:
        self._definition = definition
        self._analyses = list(_estimated(definition))
        self._held = max((_longest(each) for each in self._analyses), default=0)
        self._channels = len(definition.channels)
        self._buffer = SampleBuffer(self._channels, first)

    def __bool__(self) -> bool:
        return bool(self._analyses)

    def push(self, first: int, samples: NDArray[np.generic]) -> None:
        """Take the next samples (n, channels); those between are missing."""
        if self._analyses:
            self._buffer.append(first, samples)
            self._buffer.forget(self._buffer.end - self._held)

    def restart(self, first: int) -> None:
        """Forget all samples, models and fits; the next sample has position `first`."""
        for each in self._analyses:
            for octave in each.octaves:
                octave.in_progress = False
        self._buffer = SampleBuffer(self._channels, first)
        self._analyses = list(_estimated(self._definition))

    def newest(
        self, epoch: str, *, t_ns: int | None, times: EstimateTimes
    ) -> Iterator[NewestSamples]:
        """Yield the newest samples of each analysis."""
        end = self._buffer.end
        for each in self._analyses:
            yield NewestSamples(
                stream=self._definition.name,
                epoch=epoch,
                analysis=each.spec,
                fs_hz=self._definition.fs_hz,
                end=end,
                samples=self._samples(each, end, each.needed),
                states=tuple(octave.state for octave in each.octaves),
                t_ns=t_ns,
                times_ns=times,
            )

    def fits(self) -> Iterator[Fit]:
        """Yield the fits that are due; each is in progress until it is done or has failed."""
        for each in self._analyses:
            for number, octave in enumerate(each.octaves):
                end = self._buffer.end // octave.interval * octave.interval
                if octave.in_progress or end <= max(octave.requested, self._buffer.first):
                    continue
                octave.in_progress, octave.requested = True, end
                request = FitRequest(
                    analysis=each.spec,
                    fs_hz=self._definition.fs_hz,
                    octave=number,
                    end=end,
                    samples=self._samples(each, end, octave.needed),
                    state=octave.state,
                )
                yield Fit(request=request, octave=octave)

    def findings(self) -> Iterator[str]:
        """Yield what to report about the coverage of intervals, once."""
        for each in self._analyses:
            for number, octave in enumerate(each.octaves):
                if octave.finding is not None:
                    yield f"octave {number} of {each.spec.name}: {octave.finding}"
                    octave.finding = None

    def status(self) -> tuple[ProvisionalStatus, ...]:
        """Return the calibration of all octaves."""
        return tuple(
            octave.coverage.status(each.spec.name, number, octave.fitted)
            for each in self._analyses
            for number, octave in enumerate(each.octaves)
        )

    def _samples(self, each: _Estimated, end: int, n: int) -> NDArray[Any]:
        first, samples = self._buffer.view(end - n, end)
        exact = self._buffer.exact_dtype(first, end)
        return narrow(samples[:, each.columns], exact)


def _estimated(definition: StreamDefinition) -> Iterator[_Estimated]:
    column = {name: index for index, name in enumerate(definition.channel_names)}
    for spec in definition.analyses:
        plan = plan_provisional(spec, definition.fs_hz)
        if plan is None:
            continue
        octaves = zip(plan.intervals, plan.fit_samples, strict=True)
        yield _Estimated(
            spec=spec,
            columns=tuple(column[name] for name in spec.channels),
            needed=plan.estimate_samples,
            octaves=[_Octave(interval=interval, needed=needed) for interval, needed in octaves],
        )


def _longest(each: _Estimated) -> int:
    return max(each.needed, *(octave.needed + octave.interval for octave in each.octaves))
