"""Whose stream is whose."""

from __future__ import annotations

from collections import Counter

import pytest

from cwt_ingest.liveness import (
    Lost,
    PeerObservation,
    Renew,
    Timing,
    assigned_instance,
    is_dead,
    still_mine,
)
from cwt_ingest.member import Member, this_process

ME = this_process("me")
FAR = Member(instance="far", host="elsewhere", system="other", pid=1, started_ticks=1)
STREAMS = [f"s{i}" for i in range(900)]


@pytest.mark.parametrize(
    ("unchanged_s", "gone", "dead"), [(5.9, False, False), (6.0, False, True), (0.0, True, True)]
)
def test_member_silent_for_term_or_gone_is_dead(unchanged_s: float, gone: bool, dead: bool) -> None:
    seen = PeerObservation(member=FAR, revision=7, unchanged_s=unchanged_s, gone=gone)
    assert is_dead(seen, Timing()) is dead


def test_process_continues_only_with_its_own_lease() -> None:
    assert still_mine(ME, 7, ME) == Renew(7)
    assert isinstance(still_mine(FAR, 7, ME), Lost)
    assert isinstance(still_mine(None, 0, ME), Lost)


def test_timing_requires_give_up_before_term() -> None:
    with pytest.raises(ValueError, match="give_up_s < term_s"):
        Timing(give_up_s=6, term_s=6)


def test_a_takeover_takes_less_than_ten_seconds() -> None:
    timing = Timing()
    assert timing.term_s + 2 * timing.look_s < 10 - 2  # and two to claim and to read again


def test_streams_are_shared_about_evenly_and_the_same_in_any_order() -> None:
    owners = [assigned_instance(s, ("a", "b", "c")) for s in STREAMS]
    assert owners == [assigned_instance(s, ("c", "a", "b")) for s in STREAMS]
    assert all(250 < count < 350 for count in Counter(owners).values())


def test_one_process_fewer_moves_its_own_streams_alone() -> None:
    for stream in STREAMS:
        before, after = (
            assigned_instance(stream, ("a", "b", "c")),
            assigned_instance(stream, ("a", "b")),
        )
        assert before in ("c", after)


def test_stream_without_members_has_no_owner() -> None:
    assert assigned_instance("s", ()) is None
