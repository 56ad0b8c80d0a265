"""How much of the window queue a stream has, and when it is told to be behind."""

from __future__ import annotations

from cwt_ingest.backlog import LagMonitor, WindowBacklog
from cwt_schemas.stream import StreamLag


def test_a_stream_has_its_share_in_windows_and_in_bytes() -> None:
    backlog = WindowBacklog(max_windows=2, max_bytes=100)
    backlog.published(60, 1)
    assert not backlog.is_full
    backlog.published(40, 2)
    assert backlog.is_full
    backlog.observed(1)
    assert not backlog.is_full
    assert (backlog.windows, backlog.since_ns) == (1, 2)


def test_one_window_may_be_there_however_large_it_is() -> None:
    backlog = WindowBacklog(max_windows=10, max_bytes=100)
    assert not backlog.is_full
    backlog.published(1000, 1)
    assert backlog.is_full
    backlog.observed(0)
    assert not backlog.is_full


def test_windows_of_a_process_before_count_too() -> None:
    backlog = WindowBacklog(max_windows=3, max_bytes=100)
    backlog.observed(3)
    assert backlog.is_full
    assert backlog.since_ns is None
    backlog.observed(2)
    assert not backlog.is_full


def test_lag_is_reported_once_at_start_and_end() -> None:
    watch = LagMonitor(10)
    told = [watch.update(StreamLag(windows=7, seconds=s)) for s in (9, 11, 12, 6, 11, 4, 3, 11)]
    assert [text is not None for text in told] == [
        False,
        True,
        False,
        False,
        False,
        True,
        False,
        True,
    ]
    assert "7 windows wait" in str(told[1])
    assert told[5] == "caught up"
