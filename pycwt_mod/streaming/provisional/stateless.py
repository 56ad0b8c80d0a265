"""Provisional estimates from processes that keep no state between calls.

The caller holds the samples and, for each octave, the state that `fit` returns: models, and what
their calibration needs. The estimates equal those of `Estimator` with the same samples and fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from pycwt_mod.arrays import Floats
from pycwt_mod.engine.layout import VoiceGrid
from pycwt_mod.streaming.provisional.calibration import Calibration
from pycwt_mod.streaming.provisional.estimate import Estimate, Provisional
from pycwt_mod.streaming.provisional.estimator import (
    Estimator,
    OctaveEstimator,
    check_wavelet,
)
from pycwt_mod.streaming.provisional.kernels import model_step, row_kernels, span
from pycwt_mod.streaming.provisional.reduction import kernel_length

__all__ = ["OctaveState", "ProvisionalPlan"]

#: Plain data: dicts, lists and numbers.
OctaveState: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ProvisionalPlan:
    """Provisional estimates of one grid.

    Attributes
    ----------
    grid : VoiceGrid
        Of an analytic wavelet.
    options : Provisional
    """

    grid: VoiceGrid
    options: Provisional

    def __post_init__(self) -> None:
        check_wavelet(self.grid)

    @cached_property
    def intervals(self) -> tuple[int, ...]:
        """Samples between two fits, for each octave; the positions of fits are multiples of it."""
        return tuple(each.interval for each in self._octaves(1))

    @cached_property
    def fit_samples(self) -> tuple[int, ...]:
        """Samples that a fit can use, for each octave."""
        return tuple(each.needed for each in self._octaves(1))

    @cached_property
    def estimate_samples(self) -> int:
        """Samples that estimates of all octaves depend on."""
        return max(self._past(octave) for octave in range(self.grid.n_octaves))

    def fit(
        self, octave: int, state: OctaveState | None, end: int, samples: Floats
    ) -> tuple[OctaveState, tuple[Calibration, ...]]:
        """Fit the models of an octave, and compare earlier estimates with their exact values.

        Parameters
        ----------
        octave : int
        state : mapping or None
            What the last fit of the octave returned; None at the first one.
        end : int
            Position after the last sample, a multiple of the octave's interval.
        samples : ndarray, shape (n, channels)
            The last `fit_samples` of the octave, or fewer at the start of a stream; NaN is missing.

        Returns
        -------
        state : dict
        calibration : tuple of Calibration
            One for each channel.
        """
        estimator = OctaveEstimator(self.grid, octave, samples.shape[1], self.options)
        if state is not None:
            first = end - len(samples)
            estimator.restore(
                state, lambda start, stop: samples[max(start - first, 0) : stop - first]
            )
        estimator.advance(end, samples)
        return estimator.snapshot(), tuple(each.state for each in estimator.counters)

    def estimates(
        self, states: Sequence[OctaveState | None], end: int, samples: Floats
    ) -> tuple[Estimate, ...]:
        """Return the estimates after the last of `samples`, one for each channel.

        Parameters
        ----------
        states : sequence of mapping or None
            What the last fit of each octave returned; without it the rows of an octave are NaN.
        end : int
            Position after the last sample.
        samples : ndarray, shape (n, channels)
            The last `estimate_samples`; NaN is missing, and so are samples before the first one.
        """
        channels = samples.shape[1]
        estimator = Estimator(self.grid, channels, self.options)
        unfitted = estimator.snapshot()["octaves"] if None in states else [None] * len(states)
        estimator.restore(
            {
                "first_sample": end - len(samples),
                "samples": np.ascontiguousarray(samples, "<f8").tobytes(),
                "octaves": [
                    none if state is None else newest_fit(state)
                    for none, state in zip(unfitted, states, strict=True)
                ],
            }
        )
        return estimator.estimates()

    @staticmethod
    def fitted_at(state: OctaveState) -> int:
        """Return the position after the last sample that the newest models were fitted to."""
        return int(state["fits"][-1]["end"])

    def _octaves(self, channels: int) -> tuple[OctaveEstimator, ...]:
        return tuple(
            OctaveEstimator(self.grid, octave, channels, self.options)
            for octave in range(self.grid.n_octaves)
        )

    def _past(self, octave: int) -> int:
        step, lag = model_step(self.grid, octave), self.options.lag(self.grid.fs_hz)
        kernels = row_kernels(self.grid, octave, lag % step)
        latest = kernels.reach if self.options.delay_s is None else lag // step
        past = span(kernels, np.array([latest]), self.options.max_order)
        return (past - 1) * step + kernel_length(step)


def newest_fit(state: OctaveState) -> OctaveState:
    """Return the part of a state that estimates need."""
    return {**state, "fits": state["fits"][-1:]}
