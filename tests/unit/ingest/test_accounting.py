"""What a chunk means, given what came before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cwt_ingest.accounting import ENDED_EPOCHS, Accepted, Position, Refused, account

AT_100 = Position(epoch="e", expected=100, sequenced=True)


def take(
    position: Position, first: int | None, n: int, *, epoch: str = "e", max_gap: int = 1000
) -> Accepted:
    verdict = account(position, epoch=epoch, first_sample=first, n=n, max_gap=max_gap)
    assert isinstance(verdict, Accepted)
    return verdict


def test_chunk_at_expected_sample_causes_no_event() -> None:
    verdict = take(AT_100, 100, 10)
    assert (verdict.first_sample, verdict.skip, verdict.findings) == (100, 0, ())
    assert verdict.position.expected == 110


def test_a_later_chunk_leaves_a_gap() -> None:
    verdict = take(AT_100, 130, 10)
    (gap,) = verdict.findings
    assert (gap.kind, gap.first_sample, gap.n_samples) == ("gap", 100, 30)
    assert not verdict.restart
    assert verdict.position.expected == 140


def test_gap_longer_than_any_window_restarts_analysis() -> None:
    verdict = take(AT_100, 10**15, 10)
    assert verdict.restart
    assert verdict.findings[0].n_samples == 10**15 - 100


def test_an_overlapping_chunk_gives_only_what_is_new() -> None:
    verdict = take(AT_100, 95, 10)
    assert (verdict.first_sample, verdict.skip) == (100, 5)
    (overlap,) = verdict.findings
    assert (overlap.kind, overlap.first_sample, overlap.n_samples) == ("overlap", 95, 5)


def test_duplicate_chunk_is_discarded_and_reported() -> None:
    verdict = take(AT_100, 90, 10)
    assert (verdict.skip, verdict.position.expected) == (10, 100)
    assert "duplicate" in verdict.findings[0].detail


def test_a_chunk_without_an_index_continues_and_the_stream_says_so() -> None:
    verdict = take(AT_100, None, 10)
    assert verdict.first_sample == 100
    assert verdict.position.sequenced is False


def test_a_stream_that_was_once_unsequenced_stays_so() -> None:
    position = take(AT_100, None, 10).position
    assert take(position, 110, 10).position.sequenced is False


def test_first_epoch_is_not_a_reset() -> None:
    verdict = take(Position(), 7, 10)
    assert (verdict.restart, verdict.findings, verdict.first_sample) == (True, (), 7)


def test_a_new_epoch_is_a_reset() -> None:
    verdict = take(AT_100, 0, 10, epoch="f")
    assert verdict.findings[0].kind == "reset"
    assert (verdict.position.epoch, verdict.position.expected) == ("f", 10)


def test_ended_epoch_cannot_be_resumed() -> None:
    position = take(AT_100, 0, 10, epoch="f").position
    verdict = account(position, epoch="e", first_sample=100, n=10, max_gap=1000)
    assert isinstance(verdict, Refused)
    assert "ended" in verdict.reason


def test_the_memory_of_ended_epochs_is_bounded() -> None:
    position = Position()
    for i in range(3 * ENDED_EPOCHS):
        position = take(position, 0, 1, epoch=f"e{i}").position
    assert len(position.ended) == ENDED_EPOCHS


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 50)), max_size=40))
def test_each_sample_is_passed_at_most_once_and_losses_are_reported(
    chunks: list[tuple[int, int]],
) -> None:
    position, passed, lost = Position(), set[int](), set[int]()
    for index, (first, n) in enumerate(chunks):
        verdict = take(position, first, n)
        new = range(verdict.first_sample, verdict.first_sample + n - verdict.skip)
        assert passed.isdisjoint(new)
        passed.update(new)
        for finding in verdict.findings:
            if finding.kind == "gap":
                lost.update(range(finding.first_sample, finding.first_sample + finding.n_samples))
        position = verdict.position
        begin = chunks[0][0]
        if index or n:
            assert passed | lost == set(range(begin, max(position.expected, begin)))
