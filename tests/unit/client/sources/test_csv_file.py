"""Recordings are read, or the fault names the line."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats, lists

from cwt_cli.samples import RECORDING
from pycwt_client.sources import CsvSource, SourceError
from pycwt_client.sources.csv_file import MAX_LINE, Recording, parse_recording, read_recording

REAL = Path(__file__).parents[3] / "data/recordings"
TEXT = "# fs_hz=125\n# a remark\na,b\n1,2\n,nan\n3.5,-4\n"


def test_columns_rate_and_missing_samples_are_read() -> None:
    recording = parse_recording(TEXT.splitlines(), "f")
    assert (recording.columns, recording.fs_hz) == (("a", "b"), 125.0)
    np.testing.assert_array_equal(recording.samples, [[1, 2], [np.nan, np.nan], [3.5, -4]])
    assert recording.samples.dtype.str == "<f4"


@given(lists(lists(floats(width=32, allow_infinity=False), min_size=2, max_size=2), min_size=1))
def test_blocks_of_numbers_are_read_as_single_fields_are(rows: list[list[float]]) -> None:
    at_once = parse_recording(["a,b", *(f"{a!r}, {b!r}" for a, b in rows)], "f")
    # A comma is the decimal one there, so that every field is read by itself.
    one_by_one = parse_recording(["a;b", *(f"{a!r};{b!r}" for a, b in rows)], "f")
    np.testing.assert_array_equal(at_once.samples, one_by_one.samples)
    np.testing.assert_array_equal(at_once.samples, np.array(rows, dtype="<f4"))


def test_a_missing_sample_far_into_a_file_is_read_and_a_wrong_one_named() -> None:
    lines = ["a,b", *(f"{i},{-i}" for i in range(10_000))]
    lines[6000] = "1,"
    samples = parse_recording(lines, "f").samples
    assert samples.shape == (10_000, 2)
    assert np.argwhere(np.isnan(samples)).tolist() == [[5999, 1]]
    assert samples[-1].tolist() == [9999, -9999]
    lines[9000] = "1,1e39"
    with pytest.raises(SourceError, match="line 9001: a number is too large"):
        parse_recording(lines, "f")


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
    assert parse_recording(['"a, left",b', "1,2"], "f").columns == ("a_left", "b")


def test_columns_are_called_as_in_a_stream_and_chosen_as_the_file_calls_them_too() -> None:
    lines = ["EEG Fpz-Cz,EEG Fpz-Cz,", "1,2,3"]
    assert parse_recording(lines, "f").columns == ("EEG_Fpz-Cz", "EEG_Fpz-Cz-2", "ch3")
    for wanted in ("EEG Fpz-Cz", "EEG_Fpz-Cz"):
        recording = parse_recording(lines, "f", ("ch3", wanted))
        assert recording.columns == ("ch3", "EEG_Fpz-Cz")
        assert recording.samples.tolist() == [[3, 1]]


def test_columns_that_are_not_chosen_may_have_text() -> None:
    lines = ["time,note,ecg,abp", *(f"12:00:{i:02},rest,{i},{-i}" for i in range(9)), ",, 9,"]
    recording = parse_recording(lines, "f", ("abp", "ecg"))
    assert recording.samples[:9].tolist() == [[-i, i] for i in range(9)]
    assert np.isnan(recording.samples[9, 0])
    with pytest.raises(SourceError, match=r"line 2: '12:00:00'.* time .*--channels ecg,abp"):
        parse_recording(lines, "f")
    with pytest.raises(SourceError, match=r"line 4: 3 fields, 4 expected"):
        parse_recording([*lines[:3], "1,2,3", *lines[3:]], "f", ("ecg",))


def test_numbers_that_float32_would_round_noticeably_stay_in_double_precision() -> None:
    lines = ["a,b", *(f"{9000 + i / 1000:.3f},{i}" for i in range(100))]
    samples = parse_recording(lines, "f").samples
    assert samples.dtype.str == "<f8"
    np.testing.assert_array_equal(
        samples[:, 0], [float(f"{9000 + i / 1000:.3f}") for i in range(100)]
    )
    assert parse_recording(["a", "0.1", "0.1"], "f").samples.dtype.str == "<f4"
    assert parse_recording(["a", "", ""], "f").samples.dtype.str == "<f4"


def test_a_last_line_that_is_not_whole_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("a,b\n1,2\n3")
    recording = read_recording(path)
    assert recording.samples.tolist() == [[1, 2]]
    assert recording.warnings == ("r.csv ends in the middle of line 3, which is omitted",)
    path.write_text("a,b\n1,2\n3,4")
    assert read_recording(path).warnings == ()
    path.write_text("a,b\n1\n3,4\n")
    with pytest.raises(SourceError, match="line 2"):
        read_recording(path)


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
        (["a,b", "1,1e39"], "f, line 2: "),
        (["a;b", "1;1,000.5"], "f, line 2: '1.000.5'"),
        (["a,2", "3,4"], "f, line 1: '2' is a number; .*names"),
        (["# fs_hz=fast", "a", "1"], "f, line 1: 'fast'"),
        (["a,b"], "f .*samples"),
        ([], "f .*samples"),
    ],
)
def test_what_cannot_be_read_is_named(lines: list[str], fault: str) -> None:
    with pytest.raises(SourceError, match=fault):
        parse_recording(lines, "f")


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("infinite", ["inf", "-Infinity", "1e999"])
def test_an_infinite_number_is_a_missing_sample(infinite: str, separator: str) -> None:
    """It refused the whole file."""
    lines = [separator.join(row) for row in (("a", "b"), ("1", infinite), ("3", "4"))]
    samples = parse_recording(lines, "f").samples
    np.testing.assert_array_equal(samples, [[1, np.nan], [3, 4]])


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


def test_a_line_without_an_end_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "1," * MAX_LINE)
    with pytest.raises(SourceError, match="line 2: longer than"):
        read_recording(path)


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
    with pytest.raises(SourceError, match=r"rate.*--fs"):
        async with CsvSource(silent).open():
            pass


def read_text(folder: Path, text: str) -> Recording:
    path = folder / "r.csv"
    path.write_text(text)
    return read_recording(path)


def test_a_table_of_numbers_alone_has_numbered_channels(tmp_path: Path) -> None:
    recording = read_text(tmp_path, "1,2\n3,4\n5,6\n")
    assert recording.columns == ("ch1", "ch2")
    np.testing.assert_array_equal(recording.samples, [[1, 2], [3, 4], [5, 6]])
    assert "no line with names" in recording.warnings[0]
    recording = read_text(tmp_path, "1,5;2\n3;4\n")
    np.testing.assert_array_equal(recording.samples, [[1.5, 2], [3, 4]])


PREAMBLE = """Recorder 3000
Serial number;4711
Sampling rate;250,0 Hz
Gain;24

ecg;abp
mV;mmHg
1,5;80
2,5;
"""


def test_lines_of_a_device_before_the_table_are_passed_over(tmp_path: Path) -> None:
    text = PREAMBLE.replace("mV;mmHg\n", "")
    recording = read_text(tmp_path, text)
    assert (recording.columns, recording.fs_hz) == (("ecg", "abp"), 250.0)
    np.testing.assert_array_equal(recording.samples, [[1.5, 80], [2.5, np.nan]])
    assert recording.warnings == (
        f"{tmp_path}/r.csv has its names in line 6: the lines before it are skipped",
    )


def test_a_wrong_row_is_not_taken_for_the_end_of_a_preamble(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"line 3: 3 fields, 2 expected"):
        read_text(tmp_path, "a,b\n1,2\n1,2,3\n4,5\n6,7\n")


@pytest.mark.anyio
async def test_a_real_pulse_has_its_rate_in_its_times() -> None:
    """Its column is called timer, and has milliseconds, which it does not say."""
    source = CsvSource(REAL / "heartpy_data2.csv", fs_hz=117)
    async with source.open() as signals:
        pieces = [piece async for piece in signals]
    info = signals.info
    assert (info.channel_names, info.n_samples) == (("hr",), 15_000)
    assert info.measured_fs_hz == pytest.approx(116.988, abs=1e-3)
    assert info.warnings == ()
    assert sum(len(piece.samples) for piece in pieces) == 15_000


@pytest.mark.anyio
async def test_a_phone_has_a_column_of_seconds_and_names_that_repeat(tmp_path: Path) -> None:
    path = tmp_path / "phyphox.csv"
    rows = [f"{at / 100 + (2 if at >= 300 else 0):.3E},{at},1,2" for at in range(500)]
    path.write_text('"Time (s)","a (m/s^2)","a (m/s^2)","|a| (m/s^2)"\n' + "\n".join(rows))
    async with CsvSource(path).open() as signals:
        pieces = [piece async for piece in signals]
    assert signals.info.channel_names == ("a_m_s_2", "a_m_s_2-2", "a_m_s_2-3")
    assert (signals.info.fs_hz, signals.info.n_samples) == (100.0, 700)
    first = {piece.first_sample for piece in pieces}
    assert 500 in first
    assert not any(300 <= each < 500 for each in first)


@pytest.mark.anyio
async def test_dates_are_times_too(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    begin = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    dates = [(begin + timedelta(milliseconds=20 * at)).isoformat() for at in range(100)]
    path.write_text("timestamp,ecg\n" + "\n".join(f"{date},{at}" for at, date in enumerate(dates)))
    async with CsvSource(path).open() as signals:
        piece = await anext(aiter(signals))
    assert (signals.info.fs_hz, signals.info.channel_names) == (50.0, ("ecg",))
    assert piece.t0_ns == int(begin.timestamp()) * 1_000_000_000


@pytest.mark.parametrize("values", [["36.5", "36.4", "36.6"], ["36.5"] * 3, ["", "1", "2"]])
def test_a_temperature_called_t_is_a_channel(tmp_path: Path, values: list[str]) -> None:
    rows = "\n".join(f"{value},1" for value in values)
    assert read_text(tmp_path, f"t,ecg\n{rows}\n").columns == ("t", "ecg")


def test_times_that_are_asked_for_are_a_channel_as_well(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("time,ecg\n0,1\n0.5,2\n1,3\n1.5,4\n")
    recording = read_recording(path, ("ecg", "time"))
    assert recording.columns == ("ecg", "time")
    assert recording.times_s is not None
    # Text in a column that is not asked for is no fault, even if it is called time.
    path.write_text("time,ecg\nnoon,1\none,2\n")
    assert read_recording(path, ("ecg",)).times_s is None


@pytest.mark.anyio
async def test_times_that_do_not_fit_the_rate_that_is_given_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("time,ecg\n" + "\n".join(f"{at * 5},{at}" for at in range(100)))
    async with CsvSource(path, fs_hz=100).open() as signals:
        assert "show 0.2000 Hz and not 100 Hz" in signals.info.warnings[0]
        assert signals.info.n_samples == 100


@pytest.mark.anyio
async def test_times_without_a_unit_that_make_a_slow_rate_are_reported() -> None:
    async with CsvSource(REAL / "heartpy_data2.csv").open() as signals:
        assert signals.info.fs_hz == pytest.approx(0.116988, rel=1e-5)
        assert signals.info.warnings[0].endswith(
            "if they are milliseconds, give the rate: --fs 116.988"
        )
