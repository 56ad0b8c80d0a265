"""The positions that a device's indices stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwt_ingest.counter import Counters
from cwt_schemas.live import SignalChunk

FS = 250.0
T0_NS = 10**18


def chunk(
    position: int, index: int, n: int = 20, *, stamped: bool, late_s: float = 0
) -> SignalChunk:
    samples = np.sin(np.arange(position, position + n) * 0.7) + position
    t0_ns = T0_NS + round((position / FS + late_s) * 1e9) if stamped else None
    return SignalChunk(epoch="e", first_sample=index, t0_ns=t0_ns, samples=samples)


def positions(chunks: list[SignalChunk]) -> list[int | None]:
    counters, found = Counters(), []
    for each in chunks:
        counters, placed, _ = counters.follow(each, FS)
        # What a checkpoint keeps is all that the next chunk needs.
        counters = Counters.from_states(counters.states())
        found.append(placed.first_sample)
    return found


@given(
    bits=st.sampled_from([8, 16, 24, 32]),
    n=st.sampled_from([1, 7, 16, 20, 50]),
    jitter=st.sampled_from([0.0, 0.02]),
    lost=st.sets(st.integers(1, 119), max_size=30),
    stamped=st.booleans(),
    seed=st.integers(0, 100),
)
def test_a_counter_that_wraps_is_followed(
    bits: int, n: int, jitter: float, lost: set[int], stamped: bool, seed: int
) -> None:
    modulus = 2**bits
    begin = 0 if bits == 8 else modulus - 60 * n
    rng = np.random.default_rng(seed)
    # Without stamps nothing may be lost about the first time that a narrow counter wraps.
    if not stamped:
        lost = set() if bits == 8 else lost
    sent = [i for i in range(120) if i not in lost]
    true = [begin + i * n for i in sent]
    chunks = [
        chunk(at, at % modulus, n, stamped=stamped, late_s=float(rng.normal(0, jitter) * n / FS))
        for at in true
    ]
    if bits == 8 and max(np.diff(true), default=0) > 256 - n:
        return  # A whole round is missing.
    assert positions(chunks) == true


@pytest.mark.parametrize("stamped", [False, True])
def test_chunks_that_come_late_or_twice_keep_their_positions(stamped: bool) -> None:
    modulus, rng = 2**16, np.random.default_rng(1)
    true = [i * 20 for i in range(3200, 3400)]
    order = np.argsort(np.arange(200) + rng.uniform(0, 10, 200))
    sent = [true[i] for i in order for _ in range(1 + (i % 7 == 0))]
    chunks = [chunk(at, at % modulus, stamped=stamped) for at in sent]
    offset = true[0] - true[0] % modulus
    assert positions(chunks) == [at - offset for at in sent]


@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize("ran", [2_000, 256 * 20, 65_540, 2**16 + 2_000])
def test_counter_that_restarts_within_epoch_is_followed(ran: int, stamped: bool) -> None:
    before = [i * 20 for i in range(ran // 20)]
    after = [before[-1] + 20 + i * 20 for i in range(300)]
    chunks = [chunk(at, at, stamped=stamped) for at in before]
    chunks += [chunk(at, at - after[0], stamped=stamped) for at in after]
    assert positions(chunks) == before + after


@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize("ran", [2_000, 5_120, 65_540])
def test_a_recording_that_is_published_again_is_repeated(ran: int, stamped: bool) -> None:
    sent = [i * 20 for i in range(ran // 20)] * 2
    assert positions([chunk(at, at, stamped=stamped) for at in sent]) == sent


@pytest.mark.parametrize("wrong", [0, 7, 1_000, 2**20, 2**40])
def test_one_wrong_index_changes_no_other_position(wrong: int) -> None:
    for stamped in (False, True):
        true = [i * 20 for i in range(400)]
        chunks = [chunk(at, at, stamped=stamped) for at in true]
        chunks[300] = chunk(true[300], wrong, stamped=stamped)
        found = positions(chunks)
        assert found[:300] + found[301:] == true[:300] + true[301:]


def test_a_stamp_that_is_wrong_does_not_move_a_counter_that_goes_on() -> None:
    true = [i * 20 for i in range(400)]
    chunks = [chunk(at, at % 256, stamped=True) for at in true]
    chunks[200] = chunk(true[200], true[200] % 256, stamped=True, late_s=200_000)
    assert positions(chunks) == true
