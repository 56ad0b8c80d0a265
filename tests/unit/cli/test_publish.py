"""What `publish` checks before it sends anything."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from cwt_cli.faults import CommandError
from cwt_cli.publish import (
    check_channels,
    check_rate,
    near,
    parse_analyses,
    parse_rate,
    read_definition,
    the_source,
)
from cwt_cli.samples import DEFINITION
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_client.definition import Analyses
from pycwt_client.sources import SourceInfo

DEFINED = StreamDefinition(name="s", fs_hz=100.0, channels=(Channel(name="x"),))


def source(*names: str, fs_hz: float = 100.0) -> SourceInfo:
    channels = tuple(Channel(name=name) for name in names)
    return SourceInfo(name="f", channels=channels, fs_hz=fs_hz, n_samples=3)


def test_the_shipped_definition_is_one() -> None:
    definition = read_definition(DEFINITION, "icu")
    assert definition.channel_names == ("ecg", "abp", "resp")
    assert definition.analyses[0].channel_sets == (("abp", "ecg"), ("abp", "resp"))


def test_a_definition_of_another_stream_is_refused() -> None:
    with pytest.raises(CommandError, match="--stream icu"):
        read_definition(DEFINITION, "other")


@pytest.mark.parametrize(("content", "fault"), [("{", r"d\.json"), ('{"name": "s"}', "fs_hz")])
def test_a_file_that_is_no_definition_is_named(tmp_path: Path, content: str, fault: str) -> None:
    path = tmp_path / "d.json"
    path.write_text(content)
    with pytest.raises(CommandError, match=fault):
        read_definition(path, "s")


def test_a_definition_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"none\.json"):
        read_definition(tmp_path / "none.json", "s")


def test_a_rate_that_is_not_the_streams_is_refused() -> None:
    check_rate(source("x"), DEFINED)
    with pytest.raises(CommandError, match=r"50 Hz, .* 100 Hz"):
        check_rate(source("x", fs_hz=50.0), DEFINED)


def test_the_measured_rate_is_the_streams_if_it_is_that() -> None:
    assert near(100.0, 100.1) == 100.0
    assert near(100.0, 93.2) == near(None, 93.2) == 93.2


def test_a_rate_is_a_number_or_measured() -> None:
    assert parse_rate("93.2") == 93.2
    assert (parse_rate("measured"), parse_rate(None)) == ("measured", None)
    for text in ("fast", "0", "-1", "inf", "nan"):
        with pytest.raises(typer.BadParameter, match="--fs"):
            parse_rate(text)


def test_as_many_channels_as_the_stream_has_are_needed() -> None:
    check_channels(source("whatever"), DEFINED)
    with pytest.raises(CommandError, match=r"\ba, b\b.*\bx\b"):
        check_channels(source("a", "b"), DEFINED)


@pytest.mark.parametrize(("file", "named"), [(None, None), ("a.csv", "lsl:x")])
def test_one_source_is_needed(file: str | None, named: str | None) -> None:
    assert the_source("a.csv", None) == the_source(None, "a.csv") == "a.csv"
    with pytest.raises(CommandError, match=r"FILE.*--source"):
        the_source(file, named)


def test_the_options_say_what_to_compute() -> None:
    assert parse_analyses("c3, c4", ["c3,c4"], "2,40") == Analyses(
        power=("c3", "c4"), coherence=(("c3", "c4"),), fmin_hz=2, fmax_hz=40
    )


def test_all_pairs_can_be_wished_for() -> None:
    assert parse_analyses(None, ["all"], "2,40") == Analyses(all_pairs=True, fmin_hz=2, fmax_hz=40)


def test_no_wish_is_no_definition() -> None:
    assert parse_analyses(None, [], None) is None


@pytest.mark.parametrize(
    ("coherence", "band", "fault"),
    [
        (["c3,c4"], None, "--band 2,40"),
        (["c3,c4"], "fast", "--band 2,40"),
        (["c3"], "2,40", "--coherence"),
        (["c3,c4", "all"], "2,40", "or only all"),
    ],
)
def test_wishes_that_cannot_be_read_say_how_to_write_them(
    coherence: list[str], band: str | None, fault: str
) -> None:
    with pytest.raises(CommandError, match=fault):
        parse_analyses(None, coherence, band)
