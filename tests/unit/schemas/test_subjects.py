"""Subjects and names: what is built can be parsed, and nothing else is."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwt_schemas import BadRequest, ContractError, Unprocessable, storage, subjects
from cwt_schemas.message import is_name
from tests.memory_bus.subject import matches
from tests.unit.schemas import strategies

ROUND_TRIPS: list[tuple[Callable[..., str], Callable[[str], Any], int, str]] = [
    (subjects.signal, subjects.stream_of_signal, 1, subjects.SIGNALS),
    (subjects.event, subjects.stream_of_event, 1, subjects.EVENTS),
    (subjects.marker, subjects.stream_of_marker, 1, subjects.MARKERS),
    (subjects.window, subjects.lane_of_window, 2, subjects.WINDOWS),
    (subjects.result, subjects.lane_of_result, 2, subjects.RESULTS),
    (subjects.task, subjects.job_of_task, 1, subjects.TASKS),
    (subjects.job_result, subjects.task_of_job_result, 2, subjects.JOB_RESULTS),
    (subjects.progress, subjects.job_of_progress, 1, subjects.PROGRESS),
    (subjects.dead, subjects.where_of_dead, 1, subjects.DEAD),
]
EACH = pytest.mark.parametrize(("build", "parse", "count", "wildcard"), ROUND_TRIPS)
NOT_NAMES = ["", "a.b", "a b", "*", ">", "a\n", "ä", "x" * 65, "a/b", "\0"]


@EACH
@given(data=st.data())
def test_a_subject_gives_back_the_names_that_made_it(
    build: Callable[..., str],
    parse: Callable[[str], Any],
    count: int,
    wildcard: str,
    data: st.DataObject,
) -> None:
    given_names = data.draw(st.lists(strategies.names, min_size=count, max_size=count))

    subject = build(*given_names)

    assert parse(subject) == (given_names[0] if count == 1 else tuple(given_names))
    assert matches(wildcard, subject)


@pytest.mark.parametrize(
    ("wildcard", "longest"),
    [
        (subjects.WINDOWS, subjects.window("s", "a")),
        (subjects.RESULTS, subjects.result("s", "a")),
        (subjects.EVENTS, subjects.event("s")),
        (subjects.MARKERS, subjects.marker("s")),
    ],
)
def test_what_the_result_log_and_the_queue_hold_is_kept_under_its_own_form_alone(
    wildcard: str, longest: str
) -> None:
    assert not matches(wildcard, f"{longest}.more")
    assert not matches(wildcard, longest.rpartition(".")[0])


@EACH
@pytest.mark.parametrize("wrong", NOT_NAMES)
def test_a_subject_is_built_from_names_alone(
    build: Callable[..., str],
    parse: Callable[[str], Any],
    count: int,
    wildcard: str,
    wrong: str,
) -> None:
    with pytest.raises(Unprocessable):
        build(*["ok"] * (count - 1), wrong)
    with pytest.raises(BadRequest):
        parse(".".join([*wildcard.split(".")[:2], *["ok"] * (count - 1), wrong]))


@pytest.mark.parametrize(("build", "parse", "count"), [each[:3] for each in ROUND_TRIPS])
@given(anything=st.text() | st.just("cwt.signal.a.b.c"))
def test_any_text_is_parsed_or_refused_by_contract(
    build: Callable[..., str], parse: Callable[[str], Any], count: int, anything: str
) -> None:
    try:
        found = parse(anything)
    except ContractError:
        return
    assert build(*([found] if count == 1 else found)) == anything


@pytest.mark.parametrize(
    ("build", "verbs", "wildcard"),
    [
        (subjects.stream, subjects.StreamVerb, subjects.STREAMS),
        (subjects.query, subjects.QueryOp, subjects.QUERIES),
        (subjects.job, subjects.JobVerb, subjects.JOBS),
        (lambda verb: subjects.hw("board", verb), subjects.HwVerb, "cwt.hw.board.>"),
    ],
)
def test_queries_have_a_closed_list_of_verbs(
    build: Callable[[str], str], verbs: object, wildcard: str
) -> None:
    for verb in get_args(verbs):
        assert build(verb) == wildcard.replace(">", verb)
    with pytest.raises(Unprocessable, match="must be one of"):
        build("explode")


def test_no_device_hides_the_listing() -> None:
    assert subjects.HW_LIST == "cwt.hw.list"
    with pytest.raises(Unprocessable, match="device"):
        subjects.hw("list", "info")


def test_all_of_one_stream_or_job_can_be_subscribed() -> None:
    assert subjects.results_of("eeg") == "cwt.result.eeg.*"
    assert subjects.job_results_of("j1") == "cwt.jobresult.j1.>"


@pytest.mark.parametrize("wrong", [*NOT_NAMES, None, 5])
def test_invalid_names(wrong: object) -> None:
    assert not is_name(wrong)


def test_a_wrong_name_is_refused_by_the_field_it_was_for() -> None:
    assert subjects.signal("eeg-1_A") == "cwt.signal.eeg-1_A"
    with pytest.raises(Unprocessable) as refusal:
        subjects.signal("a.b")
    assert refusal.value.fields == ("stream",)


def test_nothing_that_is_kept_shares_its_name() -> None:
    kept = [value for key, value in vars(storage).items() if key.isupper()]

    assert len(set(kept)) == len(kept)
