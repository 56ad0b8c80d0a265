"""Files of the formats that laboratories have, as sources; written here, read by the drivers."""

from __future__ import annotations

import re
import sys
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyedflib
import pytest
from numpy.typing import NDArray
from scipy.io import wavfile

from cwt_runtime.installation import install_hint
from cwt_schemas.stream import Channel
from pycwt_client.chunks import Piece
from pycwt_client.sources import (
    Annotation,
    CsvSource,
    EdfSource,
    MissingDriverError,
    Selected,
    Signals,
    Source,
    SourceError,
    SourceInfo,
    WavSource,
    XdfSource,
    named_source,
)
from pycwt_client.sources.csv_file import Recording
from tests.unit.client.sources.xdf import header, write_xdf

pytestmark = pytest.mark.anyio

WHEN = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
WHEN_NS = int(WHEN.timestamp()) * 1_000_000_000


async def read(source: Source) -> tuple[SourceInfo, list[Piece]]:
    async with source.open() as signals:
        return signals.info, [piece async for piece in signals]


def whole(pieces: list[Piece]) -> NDArray[np.float64]:
    """The samples, put where their positions say; what is missing is NaN."""
    out = np.full((pieces[-1].next_sample, *pieces[0].samples.shape[1:]), np.nan)
    for piece in pieces:
        out[piece.first_sample : piece.next_sample] = piece.samples
    return out


async def test_an_infinite_sample_of_a_recording_is_a_missing_one(tmp_path: Path) -> None:
    samples = np.array([[1, 2], [np.inf, 4], [5, -np.inf]], np.float32)
    wavfile.write(tmp_path / "f.wav", 100, samples)
    _, pieces = await read(WavSource(tmp_path / "f.wav"))
    np.testing.assert_array_equal(whole(pieces), [[1, 2], [np.nan, 4], [5, np.nan]])


@pytest.mark.parametrize("dtype", ["<i2", "<i4", "<f4", "u1"])
@pytest.mark.parametrize("channels", [1, 2])
async def test_a_wav_file_gives_its_samples_as_they_are_stored(
    tmp_path: Path, dtype: str, channels: int
) -> None:
    samples = (np.arange(1000 * channels) % 200).reshape(-1, channels).astype(dtype)
    wavfile.write(tmp_path / "a.wav", 800, samples)
    info, pieces = await read(WavSource(tmp_path / "a.wav", chunk_s=0.1))
    assert (info.fs_hz, info.n_samples, len(pieces)) == (800, 1000, 13)
    assert info.channel_names == ("ch1", "ch2")[:channels]
    silence = 128.0 if dtype == "u1" else 0.0
    np.testing.assert_array_equal(whole(pieces), samples.astype(float) - silence)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\0\0\0\0WAVEfmt "])
async def test_invalid_wav_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.wav"):
        await read(WavSource(tmp_path / "a.wav"))


async def test_a_wav_file_of_24_bits_is_read(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 3, 100, 0, "NONE", ""))
        file.writeframes(b"\x01\x02\x03" * 50)
    _, pieces = await read(WavSource(tmp_path / "a.wav"))
    assert set(whole(pieces)[:, 0]) == {0x03020100}


def edf_header(label: str, fs_hz: float) -> dict[str, str | int | float | None]:
    return {
        "label": label, "dimension": "uV", "sample_frequency": fs_hz,
        "physical_max": 100, "physical_min": -100,
        "digital_max": 32767, "digital_min": -32768,
        "transducer": "", "prefilter": "",
    }  # fmt: skip


def write_edf(path: Path, signals: list[tuple[str, float, NDArray[np.float64]]]) -> None:
    with pyedflib.EdfWriter(str(path), len(signals), pyedflib.FILETYPE_EDFPLUS) as file:
        file.setStartdatetime(WHEN.replace(tzinfo=None))
        file.setSignalHeaders([edf_header(label, fs_hz) for label, fs_hz, _ in signals])
        file.writeSamples([samples for _, _, samples in signals])


async def test_an_edf_file_gives_physical_units_names_and_its_time(tmp_path: Path) -> None:
    t = np.arange(3000) / 100
    first, second = 50 * np.sin(t), 50 * np.cos(t)
    write_edf(tmp_path / "a.edf", [("EEG Fpz-Cz", 100, first), ("EEG Pz-Oz", 100, second)])
    info, pieces = await read(EdfSource(tmp_path / "a.edf", chunk_s=1.0))
    assert info.channels == (
        Channel(name="EEG_Fpz-Cz", unit="uV"),
        Channel(name="EEG_Pz-Oz", unit="uV"),
    )
    assert (info.fs_hz, info.n_samples, len(pieces)) == (100, 3000, 30)
    assert [piece.t0_ns for piece in pieces[:2]] == [WHEN_NS, WHEN_NS + 1_000_000_000]
    one_bit = 200 / 65535
    assert np.abs(whole(pieces) - np.stack([first, second], axis=1)).max() < one_bit


async def test_signals_of_several_rates_have_to_be_chosen(tmp_path: Path) -> None:
    slow, fast = np.zeros(10), np.arange(1000.0) / 20
    write_edf(tmp_path / "a.edf", [("EEG", 100, fast), ("Temp", 1, slow)])
    with pytest.raises(SourceError, match="EEG 100 Hz, Temp 1 Hz"):
        await read(EdfSource(tmp_path / "a.edf"))
    info, pieces = await read(named_source(f"{tmp_path}/a.edf", channels=("EEG",)))
    assert (info.channel_names, len(whole(pieces))) == (("EEG",), 1000)
    with pytest.raises(SourceError, match=r"EOG.*EEG, Temp"):
        await read(EdfSource(tmp_path / "a.edf", channels=("EOG",)))


def xdf_rows(where: NDArray[np.int64], fs_hz: float = 100.0) -> NDArray[np.float64]:
    """Times from 5000 s on, and the position and its negative as values."""
    return np.stack([5000 + where / fs_hz, where, -where], axis=1)


async def test_an_xdf_file_gives_its_stream_with_what_was_lost(tmp_path: Path) -> None:
    where = np.concatenate([np.arange(300), np.arange(350, 500)])
    rows = xdf_rows(where)
    rows[:, 0] += np.random.default_rng(0).uniform(-0.002, 0.002, len(rows))  # jitter
    write_xdf(
        tmp_path / "a.xdf",
        [
            (header("marks", 0, ["m"], "int16"), "int16", np.array([[4998.0, 1]])),
            (header("amp", 100, ["Fz", "Cz"]), "float32", rows),
        ],
        WHEN.isoformat(),
    )
    info, pieces = await read(XdfSource(tmp_path / "a.xdf", chunk_s=0.5))
    assert info.channels == (Channel(name="Fz", unit="uV"), Channel(name="Cz", unit="uV"))
    assert (info.name, info.fs_hz, info.n_samples) == ("amp", 100, 500)
    expected = np.full((500, 2), np.nan)
    expected[where] = rows[:, 1:]
    np.testing.assert_array_equal(whole(pieces), expected)
    assert pieces[0].t0_ns is not None
    assert abs(pieces[0].t0_ns - WHEN_NS - 2_000_000_000) < 5_000_000  # the marks were earlier


async def test_an_xdf_file_keeps_the_stamps_of_its_samples(tmp_path: Path) -> None:
    """A device that declares 100 Hz and samples at 93.2 was played as if it had 100."""
    rows = xdf_rows(np.arange(932), 93.2)
    write_xdf(tmp_path / "a.xdf", [(header("a", 100, ["b", "c"]), "float32", rows)], "2020-01-02")
    _, pieces = await read(XdfSource(tmp_path / "a.xdf", chunk_s=0.5))
    stamps = np.array([piece.t0_ns for piece in pieces])
    places = np.array([piece.first_sample for piece in pieces])
    np.testing.assert_allclose(np.diff(stamps), np.diff(places) / 93.2 * 1e9, atol=1000)
    undated = xdf_rows(np.arange(20), 93.2)
    write_xdf(tmp_path / "b.xdf", [(header("a", 100, ["b", "c"]), "float32", undated)], "")
    _, pieces = await read(XdfSource(tmp_path / "b.xdf", chunk_s=0.05))
    now_ns = time.time_ns()
    assert pieces[-1].t0_ns is not None
    assert 0 < now_ns - pieces[-1].t0_ns < 60e9
    assert pieces[-1].t0_ns - (pieces[0].t0_ns or 0) == pytest.approx(15 / 93.2 * 1e9, abs=1000)


async def test_markers_of_an_xdf_file_are_its_annotations(tmp_path: Path) -> None:
    marks = np.array([[5001.5, 7], [5000.5, 8]])
    write_xdf(
        tmp_path / "a.xdf",
        [
            (header("amp", 100, ["b", "c"]), "float32", xdf_rows(np.arange(300))),
            (header("marks", 0, ["m"], "int16"), "int16", marks),
        ],
        WHEN.isoformat(),
    )
    info, _ = await read(XdfSource(tmp_path / "a.xdf"))
    assert [(mark.onset_s, mark.text) for mark in info.annotations] == [(0.5, "8"), (1.5, "7")]


async def test_markers_of_an_xdf_file_stay_at_their_samples_whatever_the_rate(
    tmp_path: Path,
) -> None:
    """A marker at the time of a sample is at that sample, after a gap and with a wrong rate too."""
    where = np.delete(np.arange(2000), np.s_[500:900])
    rows = xdf_rows(where, 93.2)
    marked = [100, 600, 1500]
    marks = np.array([[rows[at, 0], at] for at in marked])
    write_xdf(
        tmp_path / "a.xdf",
        [
            (header("amp", 100, ["b", "c"]), "float32", rows),
            (header("marks", 0, ["m"], "int16"), "int16", marks),
        ],
        WHEN.isoformat(),
    )
    info, pieces = await read(XdfSource(tmp_path / "a.xdf"))
    positions = np.concatenate(
        [np.arange(piece.first_sample, piece.next_sample) for piece in pieces]
    )
    found = [mark.onset_s * info.fs_hz for mark in info.annotations]
    np.testing.assert_allclose(found, positions[marked], rtol=0, atol=0.05)


async def test_annotations_stay_at_their_samples_where_the_rate_is_given(tmp_path: Path) -> None:
    with pyedflib.EdfWriter(str(tmp_path / "a.edf"), 1, pyedflib.FILETYPE_EDFPLUS) as file:
        file.setSignalHeader(0, edf_header("C3", 100))
        file.writeSamples([np.zeros(1000)])
        file.writeAnnotation(2.5, 1.25, "eyes closed")
    info, _ = await read(EdfSource(tmp_path / "a.edf", fs_hz=125.0))
    assert info.annotations == (Annotation(onset_s=2.0, duration_s=1.0, text="eyes closed"),)


async def test_annotations_of_an_edf_file_are_read(tmp_path: Path) -> None:
    with pyedflib.EdfWriter(str(tmp_path / "a.edf"), 1, pyedflib.FILETYPE_EDFPLUS) as file:
        file.setSignalHeader(0, edf_header("C3", 100))
        file.writeSamples([np.zeros(1000)])
        file.writeAnnotation(2.5, 1.5, "eyes closed")
    info, _ = await read(EdfSource(tmp_path / "a.edf"))
    assert info.annotations == (Annotation(onset_s=2.5, duration_s=1.5, text="eyes closed"),)


async def test_of_several_streams_one_has_to_be_chosen(tmp_path: Path) -> None:
    rows = xdf_rows(np.arange(20))
    streams = [(header(name, 100, ["a", "b"]), "float32", rows) for name in ("one", "two")]
    write_xdf(tmp_path / "a.xdf", streams, WHEN.isoformat())
    with pytest.raises(SourceError, match="one, two"):
        await read(XdfSource(tmp_path / "a.xdf"))
    with pytest.raises(SourceError, match="three"):
        await read(named_source(f"xdf:{tmp_path}/a.xdf#three"))
    info, _ = await read(named_source(f"xdf:{tmp_path}/a.xdf#two"))
    assert info.name == "two"


@pytest.mark.parametrize("kind", ["csv", "wav", "edf", "xdf"])
async def test_missing_or_unknown_file_is_reported(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SourceError, match="none"):
        await read(named_source(f"{kind}:{tmp_path}/none"))
    (tmp_path / "broken").write_bytes(b"\x00\xff" * 300)
    with pytest.raises(SourceError, match="broken"):
        await read(named_source(f"{kind}:{tmp_path}/broken"))


@pytest.mark.parametrize("name", ["eeg.mat", "eeg.smr", "tone.wav.gz"])
def test_unknown_file_type_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    ending = re.escape("".join(Path(name).suffixes))
    with pytest.raises(SourceError, match=rf"{ending} is not a known kind of file .*csv:"):
        named_source(str(tmp_path / name))


@pytest.mark.parametrize("name", ["log", "night.2020-01-02", "a.TXT", "b.csv.gz"])
def test_text_may_have_any_name_that_does_not_look_like_another_kind(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).touch()
    assert isinstance(named_source(str(tmp_path / name)), CsvSource)


class Memory:
    """A recording that is there already, as a source."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        samples = np.arange(20, dtype="<f4").reshape(10, 2)
        yield Recording(columns=("a", "b"), samples=samples, fs_hz=None).signals(10.0)


async def test_channels_are_chosen_and_put_in_order() -> None:
    info, pieces = await read(Selected(Memory(), ("b", "a")))
    assert info.channel_names == ("b", "a")
    np.testing.assert_array_equal(whole(pieces)[0], [1, 0])
    with pytest.raises(SourceError, match=r"\bc\b.*a, b"):
        await read(Selected(Memory(), ("c",)))


@pytest.mark.parametrize("name", ["tape:x", "lsl:"])
def test_a_source_of_no_kind_is_refused_with_the_kinds(name: str) -> None:
    with pytest.raises(SourceError, match=r"csv, wav, edf, xdf, .*lsl, brainflow"):
        named_source(name)


@pytest.mark.parametrize(
    ("name", "driver", "extra"),
    [
        ("edf:{}", "pyedflib", "edf"),
        ("xdf:{}", "pyxdf", "xdf"),
        ("parquet:{}", "pyarrow", "parquet"),
        ("mseed:{}", "pymseed", "mseed"),
        ("mne:{}", "mne.io", "mne"),
        ("wfdb:{}", "wfdb", "wfdb"),
        ("lsl:x", "pylsl", "lsl"),
        ("brainflow:synthetic", "brainflow.board_shim", "brainflow"),
    ],
)
async def test_without_its_driver_a_source_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, driver: str, extra: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file.hea").touch()
    monkeypatch.setitem(sys.modules, driver, None)  # as if it were not installed
    source = named_source(name.format(tmp_path / "file"))
    with pytest.raises(MissingDriverError, match=re.escape(install_hint(extra))):
        await read(source)
