"""What real devices do wrong, against the truth of a simulated one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwt_ingest.processor import StreamProcessor
from cwt_schemas.stream import StreamDefinition
from tests import pipeline
from tests.thorough import cases
from tests.unit.ingest.device import Device, taken
from tests.unit.ingest.parts import definition

INDEX = pytest.mark.parametrize("modulus", [0, 2**53], ids=["without index", "with index"])


def stream(fs_hz: float = 100.0) -> StreamDefinition:
    return definition(fs_hz=fs_hz, reorder_s=0.0)


@INDEX
@pytest.mark.parametrize("jitter_s", [0.0, 1e-3])
@pytest.mark.parametrize("ppm", [-80, 80, 10_000, 24_000, 500_000, 1_000_000, -400_000])
def test_the_drift_is_that_of_the_device(ppm: int, jitter_s: float, modulus: int) -> None:
    device = Device(true_hz=100 / (1 + ppm / 1e6), chunks=600, jitter_s=jitter_s, modulus=modulus)
    found = taken(stream(), device.sent())
    # 1 ms over the root of 600 stamps spread by 17 s is 2.4 ppm.
    assert found.clock.drift_ppm == pytest.approx(ppm, abs=15 if jitter_s else 0.1)
    assert found.clock.fs_hz == pytest.approx(device.true_hz, rel=2e-5)
    assert found.clock.jitter_s == pytest.approx(jitter_s, rel=0.2, abs=1e-8)
    assert found.misplaced == 0
    assert [each.kind for each in found.told()] == (["rate"] if abs(ppm) > 2000 else [])


@INDEX
def test_a_device_that_says_200_and_sends_100_is_told_once_and_early(modulus: int) -> None:
    device = Device(fs_hz=200, true_hz=100, modulus=modulus)
    found = taken(stream(200), device.sent())
    (event,) = found.told()
    assert event.kind == "rate"
    assert event.detail == "time stamps show 100.0 Hz, the stream has 200 Hz"
    assert event.first_sample == 3 * device.n
    assert found.clock.fs_hz == pytest.approx(100)
    assert found.worst_time_s < 1e-6
    assert found.misplaced == 0


@INDEX
@pytest.mark.parametrize(
    ("wrong_s", "chunks"), [(200_000.0, 1), (200_000.0, 2), (15.0, 30), (-15.0, 30), (-1e6, 1)]
)
def test_stamps_that_jump_and_come_back_shift_nothing(
    wrong_s: float, chunks: int, modulus: int
) -> None:
    device = Device(modulus=modulus, wrong_s=dict.fromkeys(range(100, 100 + chunks), wrong_s))
    found = taken(stream(), device.sent())
    (event,) = found.told()
    assert event.kind == "clock"
    assert f"{chunks} time stamp" in event.detail
    assert f"{abs(wrong_s):g} s" in event.detail
    assert (found.misplaced, found.clock.steps, found.clock.outliers) == (0, 0, chunks)
    assert found.covered == 3000
    assert found.worst_time_s < 1e-6


def test_the_truth_may_jump_forth_and_back_without_end() -> None:
    wrong = {i: (-1) ** i * 10.0 * i for i in range(20, 290) if i % 3 == 0}
    for modulus in (0, 2**53):
        found = taken(stream(), Device(modulus=modulus, wrong_s=wrong).sent())
        assert (found.misplaced, found.covered) == (0, 3000)


@pytest.mark.parametrize("wrong_s", [2.0, -2.0, 60.0])
def test_a_clock_that_was_set_is_told_when_that_is_certain(wrong_s: float) -> None:
    found = taken(
        stream(), Device(chunks=600, wrong_s=dict.fromkeys(range(200, 600), wrong_s)).sent()
    )
    (event,) = found.told()
    direction = "forward" if wrong_s > 0 else "back"
    assert event.detail == f"the device's clock was set {direction} by {abs(wrong_s):g} s"
    assert (found.misplaced, found.clock.steps) == (0, 1)


@given(
    jitter_s=st.sampled_from([0.0, 1e-5, 1e-3]),
    ppm=st.sampled_from([0, 60, -20_000]),
    lost=st.sets(st.integers(40, 280), max_size=8),
    wrong=st.dictionaries(
        st.integers(40, 280), st.sampled_from([-3e5, -1.0, 1.0, 40.0, 3e5]), max_size=3
    ),
    modulus=st.sampled_from([0, 2**8, 2**16, 2**53]),
    n=st.sampled_from([4, 10, 32]),
    seed=st.integers(0, 99),
)
@settings(max_examples=cases(60))
def test_every_sample_is_where_it_belongs(
    jitter_s: float, ppm: int, lost: set[int], wrong: dict[int, float], modulus: int, n: int,
    seed: int,
) -> None:  # fmt: skip
    # A wrong stamp right after a loss hides it until the next chunk, which has no index.
    near_loss = {i + k for i in lost for k in range(-4, 5)}
    wrong = {i: each for i, each in wrong.items() if modulus > 256 or i not in near_loss}
    device = Device(
        true_hz=100 / (1 + ppm / 1e6), jitter_s=jitter_s, lost=lost, wrong_s=wrong,
        modulus=modulus, n=n, seed=seed,
    )  # fmt: skip
    found = taken(stream(), device.sent())
    assert found.misplaced == 0
    gaps = sum(each.n_samples or 0 for each in found.told("gap"))
    assert gaps == n * len(lost)


@pytest.mark.parametrize("lost", [1, 2, 5])
def test_a_loss_shorter_than_a_quarter_of_a_second_is_seen_without_index(lost: int) -> None:
    gone = range(150, 150 + lost)
    found = taken(stream(), Device(modulus=0, n=2, jitter_s=5e-6, lost=gone).sent())
    (gap,) = found.told()
    assert (gap.kind, gap.first_sample, gap.n_samples) == ("gap", 300, 2 * lost)
    assert found.misplaced == 0


@pytest.mark.parametrize("lost", [30, 3000])
@pytest.mark.parametrize("then", [0, 1])
def test_a_long_loss_costs_none_of_the_samples_after_it(lost: int, then: int) -> None:
    # The first chunk after it was dropped, for want of another that continues it.
    device = Device(chunks=500 + lost, lost=range(200, 200 + lost), jitter_s=1e-3)
    chunks = device.sent()
    if then:
        chunks = [each.model_copy(update={"t0_ns": None}) for each in chunks]
        chunks[0] = chunks[0].model_copy(update={"t0_ns": 10**18})
    found = taken(stream(), chunks)
    (gap,) = found.told()
    assert (gap.kind, gap.n_samples) == ("gap", 10 * lost)
    assert found.covered == 5000
    assert found.misplaced == 0


def test_a_counter_that_restarts_within_an_epoch_loses_nothing() -> None:
    chunks = Device(chunks=400).sent()
    again = [
        each.model_copy(update={"first_sample": (each.first_sample or 0) - 2000})
        for each in chunks[200:]
    ]
    found = taken(stream(), [*chunks[:200], *again])
    (event,) = found.told()
    assert (event.kind, event.first_sample) == ("reset", 2000)
    assert (found.misplaced, found.covered) == (0, 4000)


@settings(max_examples=cases(30))
@given(
    crash=st.floats(0, 1),
    lost=st.sets(st.integers(10, 190), max_size=6),
    wrong=st.dictionaries(st.integers(10, 190), st.sampled_from([-9.0, 2e5]), max_size=4),
    modulus=st.sampled_from([0, 2**8, 2**53]),
    far=st.booleans(),
)
def test_from_a_checkpoint_the_log_gives_the_same_again(
    crash: float, lost: set[int], wrong: dict[int, float], modulus: int, far: bool
) -> None:
    gone = {*lost, *(range(100, 180) if far else ())}
    device = Device(chunks=200, lost=gone, wrong_s=wrong, modulus=modulus, jitter_s=1e-4)
    entries = [pipeline.entry(each, seq) for seq, each in enumerate(device.sent(), 1)]
    straight = StreamProcessor(stream(), pipeline.fresh(stream()))
    expected = [output for each in entries for output in straight.take(each)]
    kept = int(crash * len(entries))
    first = StreamProcessor(stream(), pipeline.fresh(stream()))
    before = [output for each in entries[:kept] for output in first.take(each)]
    checkpoint = first.checkpoint()
    checkpoint = type(checkpoint).model_validate_json(checkpoint.model_dump_json(by_alias=True))
    second = StreamProcessor(stream(), checkpoint)
    after = [
        output for each in entries[checkpoint.replay_from_seq - 1 :] for output in second.take(each)
    ]
    ids = [each.id for each in pipeline.stored([*before, *after])]
    assert ids == [each.id for each in pipeline.stored(expected)]
    assert [*before, *after] == expected
