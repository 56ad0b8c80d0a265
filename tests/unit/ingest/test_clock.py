"""The line through a device's time stamps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwt_ingest.clock import Clock
from cwt_schemas.checkpoint import ClockState
from cwt_schemas.codec import ContentType, decode, encode

FS = 1000.0
T0 = 10**18


def fitted(
    *, drift_ppm: float = 0.0, jitter_s: float = 0.0, seconds: float = 120.0, every: int = 20
) -> Clock:
    rng = np.random.default_rng(3)
    samples = range(0, int(seconds * FS), every)
    clock = Clock.started(FS, 0, T0)
    for sample in samples[1:]:
        clock = clock.stamped(
            sample, stamp(sample, drift_ppm) + round(rng.normal(0, jitter_s) * 1e9)
        )
    return clock


def stamp(sample: int, drift_ppm: float = 0.0) -> int:
    return T0 + round(sample / FS * (1 + drift_ppm * 1e-6) * 1e9)


@pytest.mark.slow
@pytest.mark.parametrize("drift_ppm", [-80.0, 0.0, 35.0])
def test_drift_and_jitter_are_found_through_noise(drift_ppm: float) -> None:
    status = fitted(drift_ppm=drift_ppm, jitter_s=1e-3, seconds=600).status()
    # The slope's standard error: 1 ms over the root of 3000 stamps spread by 60 s is 0.3 ppm.
    assert status.drift_ppm == pytest.approx(drift_ppm, abs=3)
    assert status.jitter_s == pytest.approx(1e-3, rel=0.1)


def test_a_time_by_the_line_is_closer_than_the_stamps_are() -> None:
    clock = fitted(drift_ppm=40, jitter_s=2e-3, seconds=300)
    late = clock.time_of(299_000)
    assert late is not None
    # 2 ms over the root of 3000 stamps, and what the slope adds at the end of the line.
    assert abs(late - stamp(299_000, 40)) < 3e5


def test_the_raw_time_is_the_newest_stamps() -> None:
    clock = Clock.started(FS, 0, T0).stamped(1000, T0 + 10**9 + 5_000_000)
    assert clock.raw_time_of(1500) == T0 + 1_505_000_000


def test_two_stamps_a_moment_apart_say_nothing_of_drift() -> None:
    clock = Clock.started(FS, 0, T0).stamped(20, T0 + 25_000_000)
    assert abs(clock.drift) < 1e-6


def test_outlier_time_stamp_changes_nothing() -> None:
    clock = fitted(jitter_s=1e-3)
    told = clock.stamped(120_000, stamp(120_000) + 5 * 10**9)
    assert told.time_of(120_000) == clock.time_of(120_000)
    assert told.status().steps == 0


def test_a_clock_that_was_set_is_followed() -> None:
    clock = fitted(jitter_s=1e-3)
    # It is believed when it has lasted for half of the step.
    for sample in range(120_000, 122_600, 20):
        clock = clock.stamped(sample, stamp(sample) + 5 * 10**9)
    time = clock.time_of(122_580)
    assert time is not None
    assert abs(time - stamp(122_580) - 5 * 10**9) < 2 * 10**6
    assert clock.status().steps == 1


@given(late=st.integers(0, 400), jitter_ms=st.sampled_from([0.0, 0.5, 2.0]))
def test_samples_are_missed_when_a_stamp_is_late_by_more_than_the_jitter(
    late: int, jitter_ms: float
) -> None:
    clock = fitted(jitter_s=jitter_ms / 1e3, seconds=20)
    lost = clock.lost_before(20_000, stamp(20_000 + late), 20)
    # In samples, which are milliseconds here; the jitter is measured within a fifth.
    tolerance = max(8 * jitter_ms, 0.75)
    if late < 0.8 * tolerance:
        assert lost == 0
    if late > 1.2 * tolerance:
        assert lost == pytest.approx(late, abs=3 if jitter_ms else 0)


def test_a_single_stamp_misses_nothing() -> None:
    assert Clock.started(FS, 0, T0).lost_before(20, stamp(4000), 20) == 0


def test_the_state_is_read_back_bit_for_bit() -> None:
    clock = fitted(drift_ppm=17, jitter_s=1e-3)
    kept = decode(ClockState, encode(clock.state, ContentType.JSON))
    assert kept == clock.state
    assert Clock(fs_hz=FS, state=kept).stamped(120_000, T0) == clock.stamped(120_000, T0)
