"""The rate that time stamps show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cwt_schemas.sampling_rate import RateMeter, measured_rate, rate_text, wrong_rate

T0_NS = 1_764_500_000_000_000_000


def stamps(
    fs_hz: float, samples: NDArray[np.int64], *, jitter_s: float = 0.0, seed: int = 0
) -> NDArray[np.int64]:
    jitter = np.random.default_rng(seed).normal(0, jitter_s, len(samples))
    late_ns = np.rint((samples / fs_hz + jitter) * 1e9).astype(np.int64)
    return late_ns + T0_NS


@pytest.mark.parametrize("ppm", [-500_000, -24_000, -80, 0, 80, 10_000, 24_000, 500_000, 1_000_000])
def test_any_rate_is_found_however_far_from_the_nominal_one(ppm: int) -> None:
    fs_hz = 200 / (1 + ppm / 1e6)
    samples = np.arange(0, 12_000, 20)
    rate = measured_rate(samples, stamps(fs_hz, samples, jitter_s=1e-3))
    assert rate is not None
    assert rate.fs_hz == pytest.approx(fs_hz, rel=2e-5)
    assert rate.jitter_s == pytest.approx(1e-3, rel=0.1)
    assert abs(rate.fs_hz - fs_hz) < 4 * rate.error_hz
    assert rate.differs_from(200.0) == (abs(ppm) > 2000)


@given(
    fs_hz=st.floats(1, 1e5),
    jitter=st.sampled_from([0.0, 0.02, 0.4]),
    wild=st.sets(st.integers(0, 199), max_size=15),
    lost=st.lists(st.tuples(st.integers(20, 180), st.integers(1, 5000)), max_size=2),
    seed=st.integers(0, 2**16),
)
def test_outlier_time_stamps_and_losses_do_not_change_rate(
    fs_hz: float, jitter: float, wild: set[int], lost: list[tuple[int, int]], seed: int
) -> None:
    counted = np.arange(0, 4000, 20)
    taken = counted + sum(n * (np.arange(200) >= at) for at, n in lost)
    times = stamps(fs_hz, taken, jitter_s=jitter / fs_hz, seed=seed)
    for at in wild:
        times[at] += (-1) ** at * (at + 1) * 10**9
    rate = measured_rate(counted, times)
    assert rate is not None
    # 2 % of a sample of jitter over the 500 samples between two stamps that are compared.
    assert rate.fs_hz == pytest.approx(fs_hz, rel=1e-6 + 0.01 * jitter)


def test_halved_rate_is_detected_at_fourth_time_stamp() -> None:
    samples = np.arange(0, 80, 20)
    rate = measured_rate(samples, stamps(100.0, samples))
    assert rate is not None
    assert rate.differs_from(200.0)
    assert wrong_rate(rate.fs_hz, 200.0) == "time stamps show 100.0 Hz, the stream has 200 Hz"


def test_few_stamps_with_much_jitter_contradict_no_rate() -> None:
    samples = np.arange(0, 100, 10)
    for seed in range(200):
        rate = measured_rate(samples, stamps(200.0, samples, jitter_s=0.05, seed=seed))
        assert rate is None or not rate.differs_from(200.0)


@pytest.mark.parametrize("packet", [2, 4, 8, 25])
def test_stamps_in_bursts_contradict_no_rate(packet: int) -> None:
    for n in (4, 5, 8, 10, 20, 30, 64, 200, 1000):
        at_once = np.arange(n) // packet * packet * 10
        times = stamps(200.0, at_once, jitter_s=1e-3, seed=n)
        rate = measured_rate(np.arange(n) * 10, times)
        assert rate is None or not rate.differs_from(200.0), n


def test_stamps_by_the_packet_show_the_rate_of_the_samples() -> None:
    samples = np.arange(2000)
    rate = measured_rate(samples, stamps(250.0, samples // 25 * 25))
    assert rate is not None
    assert rate.fs_hz == pytest.approx(250, rel=1e-3)
    assert not rate.differs_from(250.0)


def test_stamps_that_stand_still_or_are_too_few_show_no_rate() -> None:
    assert measured_rate([0, 1, 2], [0, 10, 20]) is None
    assert measured_rate(np.arange(100), np.zeros(100)) is None
    assert measured_rate(np.zeros(100), np.arange(100)) is None


def test_a_meter_finds_in_bounded_memory_what_all_stamps_show() -> None:
    samples = np.arange(100_000)
    times, meter = stamps(93.2, samples, jitter_s=1e-3), RateMeter(capacity=64)
    for sample, t_ns in zip(samples.tolist(), times.tolist(), strict=True):
        meter.add(sample, t_ns)
    rate = meter.measured()
    assert rate is not None
    assert 32 <= rate.stamps <= 64
    assert rate.fs_hz == pytest.approx(93.2, rel=1e-5)


@pytest.mark.parametrize(
    ("fs_hz", "text"),
    [(100.0, "100.0 Hz"), (93.2, "93.20 Hz"), (25_600.4, "25600 Hz"), (0.0125, "0.01250 Hz")],
)
def test_rates_are_written_with_four_digits(fs_hz: float, text: str) -> None:
    assert rate_text(fs_hz) == text
