"""What has to be cut from a stream."""

from __future__ import annotations

from itertools import pairwise

import pytest

from cwt_ingest.lanes import SAMPLE_BYTES, TARGET_WINDOW_BYTES, plan_lanes
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.errors import Unprocessable
from cwt_schemas.stream import Channel, StreamDefinition


def definition(names: str = "xyz", /, **changes: object) -> StreamDefinition:
    fields: dict[str, object] = {
        "name": "a", "op": "wct", "pairs": [("x", "y"), ("y", "z")], "fmin_hz": 1, "fmax_hz": 16,
        "hop_s": 1, "quantity": "coherence", **changes,
    }  # fmt: skip
    return StreamDefinition(
        name="s",
        fs_hz=100,
        channels=tuple(Channel(name=name) for name in names),
        analyses=(AnalysisSpec.model_validate(fields),),
    )


def test_there_is_a_lane_per_octave_with_all_channel_sets() -> None:
    lanes = plan_lanes(definition())
    assert [lane.octave for lane in lanes] == [0, 1, 2, 3, 4]
    assert [batch.columns for batch in lanes[0].batches] == [(0, 1, 2)]
    assert lanes[0].batches[0].spec.pairs == (("x", "y"), ("y", "z"))


def test_windows_carry_as_many_channel_sets_as_are_small_together() -> None:
    lanes = plan_lanes(definition(fmin_hz=0.005))
    for lane in lanes:
        for batch in lane.batches:
            size = lane.window * SAMPLE_BYTES * len(batch.names)
            assert len(batch.spec.pairs) == 1 or size <= TARGET_WINDOW_BYTES
        carried = [pair for batch in lane.batches for pair in batch.spec.pairs]
        assert carried == [("x", "y"), ("y", "z")]
    assert [len(lane.batches) for lane in (lanes[0], lanes[-1])] == [1, 2]
    assert len({batch.spec_hash for batch in lanes[-1].batches}) == 2


def all_pairs(names: str = "wxyz", /, **changes: object) -> StreamDefinition:
    return definition(names, pairs="all", **changes)


def test_all_pairs_are_in_one_window_however_long_it_is() -> None:
    for lane in plan_lanes(all_pairs(fmin_hz=0.01)):
        assert [batch.columns for batch in lane.batches] == [(0, 1, 2, 3)]
        assert lane.pairs_per_message == 6
        assert lane.messages == 1


def test_octaves_without_a_band_have_no_windows() -> None:
    lanes = plan_lanes(all_pairs(bands=[[2, 4], [1.1, 1.9]]))
    assert [lane.octave for lane in lanes] == [2, 3]
    with pytest.raises(Unprocessable, match=r"analyses\.a: band \[2\.02, 2\.1\] Hz contains none"):
        plan_lanes(all_pairs(bands=[[2.02, 2.1]]))


def test_a_result_of_all_pairs_is_divided_where_it_would_not_fit_a_message() -> None:
    wide = [f"c{i}" for i in range(64)]
    stream = definition(pairs="all").model_copy(
        update={"channels": tuple(Channel(name=name) for name in wide)}
    )
    spec = stream.analyses[0].model_copy(update={"channels": tuple(wide), "fmin_hz": 4.0})
    stream = stream.model_copy(update={"analyses": (spec,)})
    lanes = plan_lanes(stream, max_message_bytes=1_000_000)
    assert [lane.messages for lane in lanes] == [6, 6, 1]
    for lane in lanes:
        size = lane.results
        assert lane.pairs_per_message is not None
        assert size.set_bytes * lane.pairs_per_message + size.shared_bytes <= 1_000_000
        assert lane.messages == -(-2016 // lane.pairs_per_message)
    long = spec.model_copy(update={"hop_s": 30.0})
    with pytest.raises(Unprocessable, match=r"results of 2016 pairs.*use bands or decimate"):
        plan_lanes(stream.model_copy(update={"analyses": (long,)}))


def test_each_octave_has_windows_about_twice_as_long() -> None:
    lanes = plan_lanes(definition())
    for higher, lower in pairwise(lanes[:4]):
        assert 1.7 < lower.window / higher.window < 2.3


def test_a_window_too_large_for_a_message_is_refused_with_the_numbers() -> None:
    with pytest.raises(Unprocessable, match=r"\d bytes") as caught:
        plan_lanes(definition(fmin_hz=0.0005))
    assert "analyses.a.fmin_hz" in caught.value.message


def test_a_frequency_too_high_for_blocks_is_refused_with_the_highest_possible() -> None:
    with pytest.raises(Unprocessable, match="at most"):
        plan_lanes(definition(fmax_hz=49))


def test_a_server_that_takes_less_refuses_more() -> None:
    plan_lanes(definition())
    with pytest.raises(Unprocessable, match="a message carries 100000"):
        plan_lanes(definition(), max_message_bytes=100_000)


def test_a_stream_whose_samples_would_fill_the_memory_is_refused() -> None:
    wide = definition(fmin_hz=0.01).model_copy(
        update={"channels": tuple(Channel(name=f"c{i}") for i in range(1000))}
    )
    known = wide.analyses[0].model_copy(update={"pairs": (("c0", "c1"),)})
    with pytest.raises(Unprocessable, match="1000 channels takes"):
        plan_lanes(wide.model_copy(update={"analyses": (known,)}))


def test_more_results_than_workers_can_keep_are_refused() -> None:
    names = [f"c{i}" for i in range(1000)]
    pairs = tuple((one, other) for one, other in pairwise(names))
    spec = definition().analyses[0].model_copy(update={"pairs": pairs, "hop_s": 0.01})
    channels = tuple(Channel(name=name) for name in names)
    wide = definition().model_copy(update={"channels": channels, "analyses": (spec,)})
    with pytest.raises(Unprocessable, match="5000") as caught:
        plan_lanes(wide)
    assert "analyses.a.hop_s" in caught.value.message


def test_a_multiple_coherence_with_more_channels_than_its_smoothing_carries_is_refused() -> None:
    names = "uvwxyz"
    spec = definition(names, op="mwct", pairs=[], target="u", given=list(names[1:]))
    with pytest.raises(Unprocessable, match=r"analyses\.a: cannot use 5 .* 0\.98\d .95 % level"):
        plan_lanes(spec)
    wider = spec.analyses[0].model_copy(update={"deltaj0": 2.0})
    lanes = plan_lanes(spec.model_copy(update={"analyses": (wider,)}))
    assert lanes[0].batches[0].names == tuple(names)


def test_a_window_longer_than_the_log_keeps_chunks_is_refused() -> None:
    plan_lanes(definition(), log_max_age_s=0)
    plan_lanes(definition(), log_max_age_s=3600)
    with pytest.raises(Unprocessable, match=r"\b10 s\b"):
        plan_lanes(definition(), log_max_age_s=10)


def test_waiting_that_would_take_too_much_memory_is_refused_with_the_numbers() -> None:
    channels = tuple(Channel(name=f"c{i}") for i in range(64))
    fast = StreamDefinition(name="s", fs_hz=1e6, channels=channels)
    with pytest.raises(Unprocessable, match=r"512000000.*268435456") as caught:
        plan_lanes(fast)
    assert "reorder_s" in caught.value.message
    assert plan_lanes(fast.model_copy(update={"reorder_s": 0.5})) == ()
