"""Recordings are read, or the fault names the line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from cwt_cli.samples import RECORDING
from pycwt_client.sources import CsvSource, SourceError
from pycwt_client.sources.csv_file import parse_recording, read_recording

TEXT = "# fs_hz=125\n# a remark\na,b\n1,2\n,nan\n3.5,-4\n"


def test_columns_rate_and_missing_samples_are_read() -> None:
    recording = parse_recording(TEXT.splitlines(), "f")
    assert (recording.columns, recording.fs_hz) == (("a", "b"), 125.0)
    np.testing.assert_array_equal(recording.samples, [[1, 2], [np.nan, np.nan], [3.5, -4]])
    assert recording.samples.dtype.str == "<f4"


def test_in_a_single_column_an_empty_line_is_a_missing_sample() -> None:
    recording = parse_recording(["a", "1", "", "2"], "f")
    np.testing.assert_array_equal(recording.samples, [[1], [np.nan], [2]])


@pytest.mark.parametrize(
    "lines",
    [
        ["a;b", "1,5;-2", ";4"],
        ["a\tb", "1.5\t-2", "\t4"],
        ["", "a , b", "", " 1.5 , -2", "NA,4"],
        ['"a","b"', '"1.5",-2', ',"4"'],
    ],
)
def test_text_is_read_as_spreadsheets_and_statisticians_write_it(lines: list[str]) -> None:
    recording = parse_recording(lines, "f")
    assert recording.columns == ("a", "b")
    np.testing.assert_array_equal(recording.samples, [[1.5, -2], [np.nan, 4]])


def test_a_name_in_quotes_may_have_a_comma() -> None:
    assert parse_recording(['"a, left";b', "1;2"], "f").columns[1] == "b"
    assert parse_recording(['"a, left",b', "1,2"], "f").columns == ("a, left", "b")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("# fs_hz=125\na\n1\n", encoding="utf-8-sig")
    assert read_recording(path).fs_hz == 125
    path.write_text("a\n1\n", encoding="utf-8-sig")
    assert read_recording(path).columns == ("a",)


@pytest.mark.anyio
@pytest.mark.parametrize("fs_hz", [-5.0, 0.0, float("inf"), float("nan")])
async def test_a_rate_that_is_none_is_refused(tmp_path: Path, fs_hz: float) -> None:
    path = tmp_path / "r.csv"
    path.write_text("a\n1\n")
    with pytest.raises(SourceError, match="rate"):
        async with CsvSource(path, fs_hz=fs_hz).open():
            pass


def test_columns_are_chosen_and_put_in_order() -> None:
    recording = parse_recording(TEXT.splitlines(), "f").selected(("b",))
    np.testing.assert_array_equal(recording.samples[:, 0], [2, np.nan, -4])
    with pytest.raises(SourceError, match=r"\bc\b.*\bb\b"):
        recording.selected(("c",))


def test_the_first_seconds_are_cut_off() -> None:
    assert len(parse_recording(TEXT.splitlines(), "f").first(0.016, 125).samples) == 2


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["a,b", "1,2", "3"], "f, line 3: 1 .*2"),
        (["a,b", "1,x"], "f, line 2: 'x'"),
        (["a,b", "1,inf"], "f, line 2: infinity"),
        (["a,b", "1,1e39"], "f, line 2: "),
        (["a;b", "1;1,000.5"], "f, line 2: '1.000.5'"),
        (["1,2", "3,4"], "f, line 1: .*names"),
        (["a,a", "3,4"], "f, line 1: .*names"),
        (["# fs_hz=fast", "a", "1"], "f, line 1: 'fast'"),
        (["a,b"], "f .*samples"),
        ([], "f .*samples"),
    ],
)
def test_what_cannot_be_read_is_named(lines: list[str], fault: str) -> None:
    with pytest.raises(SourceError, match=fault):
        parse_recording(lines, "f")


def test_a_packed_file_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "r.csv.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    assert len(read_recording(path).samples) == 3


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("cut.gz", gzip.compress(TEXT.encode(), mtime=0)[:-12], "gzip"),
        ("plain.gz", b"a,b", "gzip"),
        ("binary.csv", b"\xff\xfe\x00", "text"),
    ],
)
def test_a_broken_file_is_a_fault(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=fault):
        read_recording(tmp_path / name)


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.csv"):
        read_recording(tmp_path / "none.csv")


def test_the_shipped_recording_is_what_its_description_says() -> None:
    recording = read_recording(RECORDING)
    assert recording.fs_hz == 125
    assert recording.columns == ("ecg_mV", "abp_mmHg", "resp_NU")
    assert recording.samples.shape == (75_000, 3)
    np.testing.assert_array_equal(np.isnan(recording.samples).sum(axis=0), [0, 0, 4])


@pytest.mark.anyio
async def test_the_rate_is_as_asked_or_of_the_file_or_as_assumed(tmp_path: Path) -> None:
    said, silent = tmp_path / "said.csv", tmp_path / "silent.csv"
    said.write_text(TEXT)
    silent.write_text("a\n1\n2\n")
    for source, fs_hz in (
        (CsvSource(said, fs_hz=50, assumed_fs_hz=10), 50),
        (CsvSource(said, assumed_fs_hz=10), 125),
        (CsvSource(silent, assumed_fs_hz=10), 10),
    ):
        async with source.open() as signals:
            assert signals.info.fs_hz == fs_hz
    with pytest.raises(SourceError, match="rate"):
        async with CsvSource(silent).open():
            pass
