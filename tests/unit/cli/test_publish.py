"""What `publish` checks before it sends anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.faults import CommandError
from cli.publish import check_columns, rate_of, read_definition
from cli.recording import Recording
from cli.samples import DEFINITION
from schemas.stream import Channel, StreamDefinition

DEFINED = StreamDefinition(name="s", fs_hz=100.0, channels=(Channel(name="x"),))


def recording(*columns: str, fs_hz: float | None = None) -> Recording:
    return Recording(columns=columns, samples=np.zeros((3, len(columns)), dtype="<f4"), fs_hz=fs_hz)


def test_the_shipped_definition_is_one() -> None:
    definition = read_definition(DEFINITION, "icu")
    assert definition.channel_names == ("ecg", "abp", "resp")
    assert definition.analyses[0].channel_sets == (("abp", "ecg"), ("abp", "resp"))


def test_a_definition_of_another_stream_is_refused() -> None:
    with pytest.raises(CommandError, match="say --stream icu"):
        read_definition(DEFINITION, "other")


@pytest.mark.parametrize(
    ("content", "fault"), [("{", "no stream definition"), ('{"name": "s"}', "fs_hz")]
)
def test_a_file_that_is_no_definition_is_named(tmp_path: Path, content: str, fault: str) -> None:
    path = tmp_path / "d.json"
    path.write_text(content)
    with pytest.raises(CommandError, match=fault):
        read_definition(path, "s")


def test_a_definition_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        read_definition(tmp_path / "none.json", "s")


@pytest.mark.parametrize(("of_file", "asked"), [(None, None), (100.0, None), (50.0, 100.0)])
def test_the_rate_is_as_asked_or_of_the_file_or_of_the_stream(
    of_file: float | None, asked: float | None
) -> None:
    assert rate_of(recording("x", fs_hz=of_file), DEFINED, asked) == 100


def test_a_rate_that_is_not_the_streams_is_refused() -> None:
    with pytest.raises(CommandError, match=r"50 Hz .* 100 Hz"):
        rate_of(recording("x", fs_hz=50.0), DEFINED, None)


def test_as_many_columns_as_channels_are_needed() -> None:
    check_columns(recording("whatever"), DEFINED)
    with pytest.raises(CommandError, match="columns a, b and the stream the channels x"):
        check_columns(recording("a", "b"), DEFINED)
