"""One stream from chunks to windows and events, as a function of the log."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import repeat

import msgpack  # type: ignore[import-untyped]
import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cwt_ingest.processor import LogEntry, Output, StreamProcessor, read_chunk
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.checkpoint import StreamCheckpoint
from cwt_schemas.chunk_codec import encode_raw_chunk
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.live import AnalysisWindow, SignalChunk, StreamEvent
from cwt_schemas.stream import Channel, StreamDefinition
from tests import pipeline
from tests.thorough import cases

FS = 64.0
LENGTH = 1200


def definition(**changes: object) -> StreamDefinition:
    spec = AnalysisSpec(
        name="a", op="cwt", channels=("x", "y"), fmin_hz=2, fmax_hz=8, voices_per_octave=2,
        hop_s=0.5, quantity="power",
    )  # fmt: skip
    fields: dict[str, object] = {
        "name": "s",
        "fs_hz": FS,
        "channels": (Channel(name="x"), Channel(name="y")),
        "analyses": (spec,),
        **changes,
    }
    return StreamDefinition.model_validate(fields)


def signal(n: int = LENGTH) -> NDArray[np.float64]:
    return np.random.default_rng(1).standard_normal((n, 2))


def windows(outputs: list[Output]) -> dict[str, AnalysisWindow]:
    found = [output for output in outputs if isinstance(output, AnalysisWindow)]
    assert len({window.id for window in found}) == len(found)
    return {window.id: content(window) for window in found}


def content(window: AnalysisWindow) -> AnalysisWindow:
    """Return the window without the times, which depend on how the chunks were cut."""
    times = window.times_ns.model_copy(update={"received": 0, "windowed": 0})
    return window.model_copy(update={"times_ns": times})


def events(outputs: list[Output]) -> list[str]:
    return [output.kind for output in outputs if isinstance(output, StreamEvent)]


def run(*chunks: SignalChunk) -> list[Output]:
    return list(pipeline.outputs(definition(), chunks))


def at_once() -> StreamDefinition:
    """Return a definition by which no chunk waits for its turn."""
    return definition(reorder_s=0.0)


def message(seq: int, headers: dict[str, str], body: bytes) -> LogEntry:
    """Return a message of the log."""
    chunk = read_chunk(headers, body, len(definition().channels))
    return LogEntry(seq=seq, stored_ns=seq, chunk=chunk, now_ns=0)


def chunk(first: int | None, samples: NDArray[np.float64], epoch: str = "e") -> SignalChunk:
    return SignalChunk(epoch=epoch, first_sample=first, samples=samples)


WHOLE = windows(run(chunk(0, signal())))


@settings(max_examples=cases(25))
@given(st.lists(st.integers(1, 200), min_size=1, max_size=30))
def test_however_the_device_cuts_its_chunks_the_windows_are_the_same(lengths: list[int]) -> None:
    cut = pipeline.chunks_of(signal(), [*lengths, LENGTH])
    assert windows(list(pipeline.outputs(definition(), cut))) == WHOLE


def test_sample_by_sample_gives_the_same_windows() -> None:
    one_by_one = pipeline.chunks_of(signal(), repeat(1))
    assert windows(list(pipeline.outputs(definition(), one_by_one))) == WHOLE


def test_windows_carry_their_samples_and_the_margin_that_there_is() -> None:
    x = signal()
    for window in WHOLE.values():
        assert window.channels == ("x", "y")
        end = window.first_sample + window.n_samples
        np.testing.assert_array_equal(window.samples, x[window.first_sample : end])
        assert window.first_sample <= window.tile.first_sample
        assert end >= window.tile.first_sample + window.tile.n


def test_the_tiles_of_an_octave_have_no_hole_and_no_overlap() -> None:
    for octave in (0, 1):
        tiles = [window.tile for window in WHOLE.values() if window.octave == octave]
        assert [tile.first_sample for tile in tiles] == [i * tiles[0].n for i in range(len(tiles))]


def test_every_chunk_twice_changes_no_window_and_is_told() -> None:
    chunks = list(pipeline.chunks_of(signal(), repeat(100)))
    found = run(*[each for each in chunks for _ in range(2)])
    assert windows(found) == WHOLE
    assert events(found) == ["overlap"] * len(chunks)


def test_a_gap_is_told_and_stands_as_missing_samples_in_the_windows() -> None:
    x = signal()
    found = run(chunk(0, x[:500]), chunk(520, x[520:]))
    assert events(found) == ["gap"]
    x[500:520] = np.nan
    assert windows(found) == windows([*run(chunk(0, x))])


def test_missing_values_are_told_when_they_begin_and_when_they_end() -> None:
    x = signal()
    x[10, 0] = x[11, 1] = np.nan
    begun, over = [output for output in run(chunk(0, x)) if isinstance(output, StreamEvent)]
    assert (begun.kind, begun.first_sample, begun.n_samples) == ("missing", 10, 2)
    assert (over.kind, over.first_sample, over.n_samples) == ("recovered", 10, 2)


def test_a_channel_that_is_missing_is_told_twice_also_over_a_restart() -> None:
    x = signal()
    x[230:870, 1] = np.nan
    entries = [
        pipeline.entry(each, seq) for seq, each in enumerate(pipeline.chunks_of(x, repeat(20)), 1)
    ]
    straight = StreamProcessor(definition(), pipeline.fresh(definition()))
    expected = [output for each in entries for output in straight.take(each)]
    assert events(expected) == ["missing", "recovered"]
    for cut in range(1, len(entries), 7):
        first = StreamProcessor(definition(), pipeline.fresh(definition()))
        before = [output for each in entries[:cut] for output in first.take(each)]
        checkpoint = decode(
            StreamCheckpoint, encode(first.checkpoint(), ContentType.JSON), ContentType.JSON
        )
        second = StreamProcessor(definition(), checkpoint)
        again = entries[checkpoint.replay_from_seq - 1 :]
        after = [output for each in again for output in second.take(each)]
        told = [each for each in (*before, *after) if isinstance(each, StreamEvent)]
        assert told == [each for each in expected if isinstance(each, StreamEvent)]


RAW = {"Content-Type": "application/octet-stream", "Cwt-Dtype": "<f4", "Cwt-Epoch": "e"}
PACKED = {"schema": "signal.chunk/1", "epoch": "e"}
TOO_LARGE = (
    b'{"schema": "signal.chunk/1", "epoch": "e", "samples": [[1, 2], [3, 1e999], [-1e999, 6]]}'
)


@pytest.mark.parametrize(
    ("headers", "body_of"),
    [
        (RAW, lambda x: x.tobytes()),
        ({}, lambda x: json.dumps({**PACKED, "samples": x.tolist()}).encode()),
        ({}, lambda _: TOO_LARGE),
        (
            {"Content-Type": "application/msgpack"},
            lambda x: msgpack.packb(
                {**PACKED, "samples": {"dtype": "<f4", "shape": [3, 2], "data": x.tobytes()}}
            ),
        ),
        (
            {"Content-Type": "application/msgpack"},
            lambda x: msgpack.packb({**PACKED, "samples": x.tolist()}),
        ),
    ],
)
def test_an_infinite_sample_is_a_missing_one_in_every_encoding(
    headers: dict[str, str], body_of: Callable[[NDArray[np.float32]], bytes]
) -> None:
    """The whole chunk was rejected."""
    samples = np.array([[1, 2], [3, np.inf], [-np.inf, 6]], "<f4")
    entry = message(1, headers, body_of(samples))
    processor = StreamProcessor(at_once(), pipeline.fresh(definition()))
    (event,) = processor.take(entry)
    assert isinstance(event, StreamEvent)
    assert (event.kind, event.first_sample, event.n_samples) == ("missing", 1, 2)
    assert "infinite" in event.detail
    assert processor.progress().next_sample == 3


def test_a_new_epoch_begins_afresh_after_the_rest_of_the_old_one() -> None:
    x = signal()
    found = run(chunk(0, x[:700]), chunk(0, x[700:], epoch="f"))
    assert events(found) == ["reset"]
    by_epoch: dict[str, list[AnalysisWindow]] = {"e": [], "f": []}
    for window in windows(found).values():
        by_epoch[window.epoch].append(window)
    assert max(w.tile.first_sample + w.tile.n for w in by_epoch["e"]) >= 700
    assert min(w.tile.first_sample for w in by_epoch["f"]) == 0


def test_a_jump_longer_than_any_window_costs_no_memory_and_restarts_on_the_tile_grid() -> None:
    far = 10**12 + 7
    found = run(chunk(0, signal()), chunk(far - 10, signal(10)), chunk(far, signal()))
    # The first chunk after the jump is kept until the second one confirms it.
    assert events(found) == ["gap"]
    after = [w for w in windows(found).values() if w.tile.first_sample > LENGTH * 2]
    assert after
    assert all(w.tile.first_sample % w.tile.n == 0 for w in after)
    assert min(w.tile.first_sample for w in after) <= far


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({}, b"\xff\x00 rubbish", "read"),
        ({"Content-Type": "text/plain"}, b"1,2", "Content-Type"),
        ({"Content-Type": "application/octet-stream", "Cwt-Dtype": "<f2"}, b"12", "Cwt-Dtype"),
        ({}, b'{"schema":"signal.chunk/1","epoch":"e","samples":[[1,2,3]]}', "channels"),
        (
            encode_raw_chunk(SignalChunk(epoch="e", samples=np.ones((20, 3))))[0],
            np.ones((20, 3)).tobytes(),
            "Cwt-Channels: 3, but the stream has 2",
        ),
        ({}, b'{"schema":"signal.chunk/2","epoch":"e","samples":[[1,2]]}', "version"),
    ],
)
def test_a_chunk_that_cannot_be_used_is_told_with_the_reason_and_the_stream_goes_on(
    headers: dict[str, str], body: bytes, reason: str
) -> None:
    processor = StreamProcessor(definition(), pipeline.fresh(definition()))
    first, *rest = pipeline.chunks_of(signal(), repeat(LENGTH // 2))
    found = list(processor.take(pipeline.entry(first, 1)))
    bad = message(2, headers, body)
    (event,) = processor.take(bad)
    assert isinstance(event, StreamEvent)
    assert event.kind == "rejected"
    assert reason in event.detail
    for seq, good in enumerate(rest, 3):
        found.extend(processor.take(pipeline.entry(good, seq)))
    assert windows(found) == WHOLE


@settings(max_examples=cases(25))
@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=12),
    crash=st.floats(0, 1),
    lost=st.integers(0, 3),
)
def test_from_a_checkpoint_the_log_gives_the_same_windows_under_the_same_ids(
    lengths: list[int], crash: float, lost: int
) -> None:
    chunks = list(pipeline.chunks_of(signal(), [*lengths, LENGTH]))
    entries = [pipeline.entry(each, seq) for seq, each in enumerate(chunks, 1)]
    kept = int(crash * len(entries))
    first = StreamProcessor(definition(), pipeline.fresh(definition()))
    before = [output for each in entries[:kept] for output in first.take(each)]
    checkpoint = first.checkpoint()
    # What was published after the checkpoint and before the crash comes again.
    again = [output for each in entries[kept : kept + lost] for output in first.take(each)]
    second = StreamProcessor(definition(), checkpoint)
    replayed = entries[checkpoint.replay_from_seq - 1 :]
    after = [output for each in replayed for output in second.take(each)]
    assert {each.id for each in pipeline.stored(again)} <= {
        each.id for each in pipeline.stored(after)
    }
    assert windows([*before, *after]) == WHOLE


def test_a_replay_over_an_epoch_change_tells_nothing_twice() -> None:
    x = signal()
    entries = [
        pipeline.entry(each, seq)
        for seq, each in enumerate(
            (chunk(0, x[:700]), chunk(0, x[:50], "f"), chunk(50, x[50:], "f")), 1
        )
    ]
    first = StreamProcessor(at_once(), pipeline.fresh(at_once()))
    all_ids = [out.id for each in entries for out in pipeline.stored(first.take(each))]
    second = StreamProcessor(at_once(), pipeline.fresh(at_once()))
    before = [out.id for each in entries[:2] for out in pipeline.stored(second.take(each))]
    third = StreamProcessor(at_once(), second.checkpoint())
    assert second.checkpoint().replay_from_seq == 2
    after = [out.id for each in entries[1:] for out in pipeline.stored(third.take(each))]
    assert before + after == all_ids


@pytest.mark.parametrize("dtype", ["<i2", "<i4", "<f4", "<f8"])
def test_samples_travel_as_the_device_sent_them(dtype: str) -> None:
    sent = (3e4 * np.sin(signal())).astype(dtype)
    for window in windows(run(chunk(0, sent))).values():
        assert window.samples.dtype == dtype
        first = window.first_sample
        np.testing.assert_array_equal(window.samples, sent[first : first + window.n_samples])


def test_float64_samples_travel_as_float32_where_that_loses_nothing() -> None:
    narrow = run(chunk(0, signal().astype(np.float32).astype(np.float64)))
    assert {w.samples.dtype for w in windows(narrow).values()} == {np.dtype("<f4")}
    assert {w.samples.dtype for w in WHOLE.values()} == {np.dtype("<f8")}


def test_whole_numbers_with_a_gap_between_them_travel_as_floats_there_alone() -> None:
    counts = (1000 * signal()).astype("<i2")
    for window in windows(run(chunk(0, counts[:600]), chunk(610, counts[610:]))).values():
        first, end = window.first_sample, window.first_sample + window.n_samples
        has_gap = first < 610 and end > 600
        assert window.samples.dtype == ("<f4" if has_gap else "<i2")
        expected = counts[first:end].astype(np.float32)
        expected[max(600 - first, 0) : max(610 - first, 0)] = np.nan
        np.testing.assert_array_equal(window.samples, expected)


def test_a_device_that_changes_its_type_gets_the_one_that_holds_both() -> None:
    x = (1000 * signal()).astype("<i2")
    wide = x[600:].astype("<i4") * 70_000
    found = windows(run(chunk(0, x[:600]), chunk(600, wide))).values()
    for window in found:
        all_narrow = window.first_sample + window.n_samples <= 600
        assert window.samples.dtype == ("<i2" if all_narrow else "<i4")
    assert {w.samples.dtype.str for w in found} == {"<i2", "<i4"}


def test_times_follow_the_device_clock_of_the_newest_chunk() -> None:
    x = signal()
    stamped = SignalChunk(epoch="e", first_sample=0, t0_ns=10**18, samples=x)
    for window in windows(run(stamped)).values():
        assert window.t0_ns == 10**18 + round(window.tile.first_sample / FS * 1e9)


def test_a_stream_without_analyses_keeps_no_samples() -> None:
    bare = definition(analyses=())
    processor = StreamProcessor(bare, pipeline.fresh(bare))
    list(processor.take(pipeline.entry(chunk(0, signal()), 1)))
    assert processor.replay_from_seq > 1 or processor.checkpoint().replay_from_seq == 2
    assert processor.progress().next_sample == LENGTH


def test_a_stream_without_analyses_tells_of_a_gap_however_long() -> None:
    # Every sample between was once filled in, for windows that nobody cuts: gigabytes.
    bare = definition(analyses=(), reorder_s=0.0)
    told = list(pipeline.outputs(bare, (chunk(0, signal(10)), chunk(10**15, signal(10)))))
    assert events(told) == ["gap"]


def test_the_device_clock_outlives_a_restart() -> None:
    x = signal()
    stamped = SignalChunk(epoch="e", first_sample=0, t0_ns=10**18, samples=x[:200])
    entries = [
        pipeline.entry(each, seq)
        for seq, each in enumerate((stamped, chunk(200, x[200:700]), chunk(700, x[700:])), 1)
    ]
    straight = StreamProcessor(definition(), pipeline.fresh(definition()))
    expected = [output for each in entries for output in straight.take(each)]
    first = StreamProcessor(definition(), pipeline.fresh(definition()))
    before = [output for each in entries[:2] for output in first.take(each)]
    checkpoint = first.checkpoint()
    assert checkpoint.replay_from_seq == 2
    second = StreamProcessor(definition(), checkpoint)
    after = [output for each in entries[1:] for output in second.take(each)]
    assert windows([*before, *after]) == windows(expected)
    assert all(w.t0_ns is not None for w in windows(expected).values())


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Content-Type",
            "Cwt-Dtype",
            "Cwt-Channels",
            "Cwt-Epoch",
            "Cwt-First-Sample",
            "Cwt-T0-Ns",
            "Accept",
        ]
    ),
    st.one_of(
        st.sampled_from(
            ["application/octet-stream", "application/msgpack", "<f4", "<f8", "<i2", "e", "f"]
        ),
        st.integers(0, 2**64).map(str),
        st.text(max_size=20),
    ),
)
BODIES = st.one_of(
    st.binary(max_size=400),
    st.integers(1, 20).map(lambda n: np.zeros((n, 2)).tobytes()),
    st.dictionaries(st.text(max_size=100), st.integers(), max_size=60).map(
        lambda fields: (
            orjson.dumps({**fields, "epoch": "e"}, option=orjson.OPT_NON_STR_KEYS)
            if all(-(2**63) <= value < 2**64 for value in fields.values())
            else b"{}"
        )
    ),
)


@settings(max_examples=cases(200))
@given(st.lists(st.tuples(HEADERS, BODIES), min_size=1, max_size=6))
def test_whatever_is_sent_nothing_is_raised_and_the_state_can_be_kept(
    messages: list[tuple[dict[str, str], bytes]],
) -> None:
    processor = StreamProcessor(definition(), pipeline.fresh(definition()))
    for seq, (headers, body) in enumerate(messages, 1):
        for output in pipeline.stored(processor.take(message(seq, headers, body))):
            encode(output, ContentType.MSGPACK)
    encode(processor.checkpoint(), ContentType.JSON)
    encode(processor.progress(), ContentType.JSON)


@pytest.mark.parametrize("t0_ns", [2**62, 2**63 - 1, 2**63])
@pytest.mark.parametrize("first", [0, 2**53, 2**63 - 2])
def test_numbers_at_the_end_of_their_range_are_told_or_taken(first: int, t0_ns: int) -> None:
    headers = {
        "Content-Type": "application/octet-stream",
        "Cwt-Dtype": "<f8",
        "Cwt-Epoch": "e",
        "Cwt-First-Sample": str(first),
        "Cwt-T0-Ns": str(t0_ns),
    }
    processor = StreamProcessor(definition(), pipeline.fresh(definition()))
    body = signal().tobytes()
    for seq in (1, 2, 3):
        moved = {**headers, "Cwt-First-Sample": str(first + (seq - 1) * LENGTH)}
        list(processor.take(replace(message(seq, moved, body), stored_ns=1)))
    encode(processor.checkpoint(), ContentType.JSON)
    encode(processor.progress(), ContentType.JSON)


@pytest.mark.parametrize("lost", [2, 10])
def test_a_log_that_lost_its_end_and_went_on_passes_no_new_chunk_for_a_known_one(lost: int) -> None:
    chunks = list(pipeline.chunks_of(signal(4000), repeat(100)))
    entries = [pipeline.entry(each, seq) for seq, each in enumerate(chunks, 1)]
    first = StreamProcessor(at_once(), pipeline.fresh(definition()))
    for each in entries[:20]:
        list(first.take(each))
    checkpoint = first.checkpoint()
    # The server comes back without the last chunks; the device has sent others since.
    kept = entries[checkpoint.replay_from_seq - 1 : 20 - lost]
    since = [
        replace(each, seq=20 - lost + number, stored_ns=10_000 + number)
        for number, each in enumerate(entries[20:], 1)
    ]
    second = StreamProcessor(at_once(), checkpoint)
    found = [output for each in [*kept, *since] for output in second.take(each)]
    assert events(found)[-1] == "gap"
    tiles = [w.tile for w in windows(found).values() if w.octave == 0]
    assert tiles[-1].first_sample + tiles[-1].n > 3500


@pytest.mark.parametrize("with_samples", [False, True])
def test_a_final_chunk_brings_what_the_end_of_the_recording_touches(with_samples: bool) -> None:
    chunks = list(pipeline.chunks_of(signal(), repeat(100)))
    last = chunks[-1].model_copy(update={"final": True})
    empty = SignalChunk(epoch="e", first_sample=LENGTH, samples=np.zeros(0), final=True)
    ended = [*chunks[:-1], last] if with_samples else [*chunks, empty]
    restart = SignalChunk(epoch="f", first_sample=0, samples=signal()[:1])
    by_epoch = windows(list(pipeline.outputs(definition(), [*chunks, restart])))
    assert windows(list(pipeline.outputs(definition(), [*ended, ended[-1]]))) == by_epoch


def test_samples_after_the_final_chunk_are_refused_and_told_also_after_a_restart() -> None:
    chunks = list(pipeline.chunks_of(signal(), repeat(100)))
    ended = [*chunks[:-1], chunks[-1].model_copy(update={"final": True}), chunk(LENGTH, signal())]
    entries = [pipeline.entry(each, seq) for seq, each in enumerate(ended, 1)]
    first = StreamProcessor(definition(), pipeline.fresh(definition()))
    for each in entries[:-1]:
        list(first.take(each))
    second = StreamProcessor(definition(), first.checkpoint())
    for each in entries[first.checkpoint().replay_from_seq - 1 : -1]:
        assert list(second.take(each)) == []
    for processor in (first, second):
        (told,) = processor.take(entries[-1])
        assert isinstance(told, StreamEvent)
        assert told.kind == "rejected"
        assert "final" in told.detail


def shuffled(chunks: list[SignalChunk], seed: int, within: int = 10) -> list[SignalChunk]:
    """Return the chunks out of order, none of them by more than `within` places."""
    rng = np.random.default_rng(seed)
    order = np.argsort(np.arange(len(chunks)) + rng.uniform(0, within, len(chunks)), kind="stable")
    return [chunks[i] for i in order]


@settings(max_examples=cases(40))
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60))
def test_chunks_out_of_order_give_the_same_windows_and_nothing_to_tell(seed: int, n: int) -> None:
    chunks = shuffled(list(pipeline.chunks_of(signal(), repeat(n))), seed)
    found = list(pipeline.outputs(definition(), chunks))
    assert windows(found) == WHOLE
    assert events(found) == []


def test_a_lost_chunk_is_waited_for_only_so_long() -> None:
    chunks = list(pipeline.chunks_of(signal(), repeat(20)))
    processor = StreamProcessor(definition(), pipeline.fresh(definition()))
    told = [
        (seq, output.first_sample, output.n_samples)
        for seq, each in enumerate([*chunks[:10], *chunks[11:]], 1)
        for output in processor.take(pipeline.entry(each, seq))
        if isinstance(output, StreamEvent)
    ]
    # 12 chunks may overtake one, and 64 samples, which is a second of them.
    assert told == [(10 + 13, 200, 20)]


def test_a_chunk_that_comes_after_it_was_given_up_is_told_and_changes_nothing() -> None:
    chunks = list(pipeline.chunks_of(signal(), repeat(20)))
    found = run(*chunks[:10], *chunks[11:], chunks[10])
    assert events(found) == ["gap", "overlap"]
    x = signal()
    x[200:220] = np.nan
    assert windows(found) == windows(run(chunk(0, x)))


def test_the_rest_of_an_epoch_may_come_after_the_next_one_has_begun() -> None:
    x = signal()
    old, new = (list(pipeline.chunks_of(x[:800], repeat(40), epoch=name)) for name in "ef")
    straight = run(*old, *new)
    crossed = run(*old[:-2], new[1], old[-1], new[0], old[-2], *new[2:])
    assert events(crossed) == ["reset"]
    assert windows(crossed) == windows(straight)


@pytest.mark.slow
@settings(max_examples=cases(150))
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(5, 60),
    drop=st.sets(st.integers(0, 200), max_size=4),
    quiet=st.sets(st.integers(0, 200), max_size=4),
    crash=st.floats(0, 1),
    lost=st.integers(0, 8),
)
def test_from_a_checkpoint_chunks_in_any_order_give_the_same_again(
    seed: int, n: int, drop: set[int], quiet: set[int], crash: float, lost: int
) -> None:
    cut = [
        *pipeline.chunks_of(signal(700), repeat(n)),
        *pipeline.chunks_of(signal(500), repeat(n), epoch="f"),
    ]
    chunks = shuffled([each for i, each in enumerate(cut) if i not in drop], seed)
    entries = [pipeline.entry(each, seq) for seq, each in enumerate(chunks, 1)]

    def went_on(processor: StreamProcessor, start: int, stop: int) -> list[Output]:
        found: list[Output] = []
        for each in entries[start:stop]:
            found.extend(processor.take(each))
            if each.seq in quiet and each.seq > start_of[id(processor)]:
                processor.note_release()
                found.extend(processor.release(0))
        return found

    start_of: dict[int, int] = {}
    first = StreamProcessor(definition(), pipeline.fresh(definition()))
    start_of[id(first)] = 0
    kept = int(crash * len(entries))
    before = went_on(first, 0, kept)
    checkpoint = first.checkpoint()
    again = went_on(first, kept, kept + lost)
    rest = went_on(first, kept + lost, len(entries))
    second = StreamProcessor(definition(), checkpoint)
    start_of[id(second)] = kept
    after = went_on(second, checkpoint.replay_from_seq - 1, len(entries))
    # A release that was written down last is made again: its outputs have the ids they had.
    known = {each.id for each in pipeline.stored(before)}
    fresh = [each for each in pipeline.stored(after) if each.id not in known]
    assert [each.id for each in fresh] == [each.id for each in pipeline.stored([*again, *rest])]
    assert windows([*fresh]) == windows([*again, *rest])


@pytest.mark.parametrize("chunks", [1, 3, 12])
def test_a_device_that_restarts_over_and_over_is_followed_and_little_waits(chunks: int) -> None:
    # No epoch lasted long enough to be let go, nor was the log ever quiet: all of it waited.
    processor = StreamProcessor(definition(), pipeline.fresh(definition()))
    seqs = itertools.count(1)
    told: list[Output] = []
    for boot in range(100):
        for i in range(chunks):
            arrived = chunk(20 * i, signal(20), f"boot-{boot}")
            told += processor.take(pipeline.entry(arrived, next(seqs)))
        # What waits would be read again after a restart.
        assert chunks * (boot + 1) - processor.replay_from_seq <= 40
    told += processor.release(0)
    resets = [each for each in told if isinstance(each, StreamEvent) and each.kind == "reset"]
    assert sum(each.count for each in resets) > 80
    assert not {"gap", "overlap", "rejected"} & set(events(told))
    assert processor.checkpoint().replay_from_seq > next(seqs) - 60


def test_two_more_devices_on_its_stream_do_not_end_the_epoch_that_goes_on() -> None:
    processor = StreamProcessor(definition(), pipeline.fresh(definition()))
    mixed = (chunk(i, signal(1), epoch) for i in range(60) for epoch in ("mine", "a", "b"))
    told: list[Output] = []
    for seq, each in enumerate(mixed, 1):
        told += processor.take(pipeline.entry(each, seq))
    assert processor.progress().epoch == "mine"
    assert set(events(told)) == {"rejected"}


def test_a_wrong_bit_in_an_index_or_an_epochs_name_holds_nothing_up() -> None:
    chunks = list(pipeline.chunks_of(signal(), repeat(20)))
    far = chunks[10].model_copy(update={"first_sample": 2**40})
    strange = chunks[10].model_copy(update={"epoch": "x"})
    processor = StreamProcessor(definition(), pipeline.fresh(definition()))
    found = [
        output
        for seq, each in enumerate([*chunks[:10], far, strange, *chunks[10:]], 1)
        for output in processor.take(pipeline.entry(each, seq))
    ]
    assert events(found) == ["rejected", "rejected"]
    assert windows(found) == WHOLE
    assert processor.waiting_s == 0


def test_what_waits_when_the_log_goes_quiet_is_let_go_and_that_is_written_down() -> None:
    chunks = list(pipeline.chunks_of(signal(), repeat(100)))
    processor = StreamProcessor(definition(), pipeline.fresh(definition()))
    for seq, each in enumerate((chunks[0], chunks[2]), 1):
        assert not events(list(processor.take(pipeline.entry(each, seq))))
    assert processor.waiting_s == 15
    processor.note_release()
    assert processor.checkpoint().released_after == (2,)
    assert events(list(processor.release(0))) == ["gap"]
    assert processor.waiting_s == 0


def test_a_device_without_indices_is_missed_by_its_time_stamps() -> None:
    x = signal()
    stamped = [
        SignalChunk(
            epoch="e", t0_ns=10**18 + round(first / FS * 1e9), samples=x[first : first + 50]
        )
        for first in range(0, 1000, 50)
    ]
    found = run(*stamped[:10], *stamped[12:])
    (gap,) = [output for output in found if isinstance(output, StreamEvent)]
    assert (gap.kind, gap.first_sample, gap.n_samples) == ("gap", 500, 100)
    assert "time stamps" in gap.detail
    x[500:600] = np.nan
    unstamped = {
        key: value.model_copy(update={"t0_ns": None, "t0_raw_ns": None})
        for key, value in windows(found).items()
    }
    assert unstamped == windows(run(chunk(0, x[:1000])))


def test_windows_of_a_closed_loop_say_when_they_are_too_old() -> None:
    latest = definition(when_behind="latest", stale_after_s=0.25)
    found = windows(list(pipeline.outputs(latest, [chunk(0, signal())])))
    assert {window.stale_after_s for window in found.values()} == {0.25}
    assert {window.stale_after_s for window in WHOLE.values()} == {None}
