"""Truncated or damaged recordings: intact parts are read, and the rest is reported."""

from __future__ import annotations

import gzip
import wave
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from pycwt_client.sources import SourceError, SourceInfo, named_source
from pycwt_client.sources.xdf_file import BOUNDARY
from tests.unit.client.sources.test_files import WHEN, read, whole, xdf_rows
from tests.unit.client.sources.xdf import chunk, header, write_xdf

pytestmark = pytest.mark.anyio

RECORDINGS = Path(__file__).parents[3] / "data" / "recordings"


async def opened(path: Path) -> tuple[SourceInfo, np.ndarray[tuple[int, ...], np.dtype]]:
    info, pieces = await read(named_source(str(path)))
    return info, whole(pieces)


@pytest.mark.parametrize(("frame_bytes", "missing_bytes"), [(4, 400), (4, 402), (6, 601)])
async def test_a_wav_file_without_its_end(
    tmp_path: Path, frame_bytes: int, missing_bytes: int
) -> None:
    path, frames = tmp_path / "a.wav", 1000
    content = np.random.default_rng(0).bytes(frames * frame_bytes)
    with wave.open(str(path), "wb") as file:
        file.setparams((2, frame_bytes // 2, 100, 0, "NONE", ""))
        file.writeframes(content)
    _, complete = await opened(path)
    path.write_bytes(path.read_bytes()[:-missing_bytes])
    info, samples = await opened(path)
    left = frames - -(-missing_bytes // frame_bytes)
    [warning] = info.warnings
    assert f"a.wav ends after {left / 100:g} s of the 10 s" in warning
    assert f"{frames - left} samples are missing" in warning
    np.testing.assert_array_equal(samples, complete[:left])


@pytest.mark.parametrize(("stated", "words"), [(0, "not finished"), (0xFFFFFFFF, None)])
async def test_a_wav_file_whose_length_was_never_written(
    tmp_path: Path, stated: int, words: str | None
) -> None:
    path = tmp_path / "a.wav"
    wavfile.write(path, 100, np.arange(100, dtype="<i2"))
    content = path.read_bytes()
    path.write_bytes(content[:40] + stated.to_bytes(4, "little") + content[44:])
    info, samples = await opened(path)
    np.testing.assert_array_equal(samples[:, 0], np.arange(100))
    assert (words in info.warnings[0]) if words else (info.warnings == ())


async def test_a_complete_file_has_no_warnings(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 100, np.zeros(10, "<i2"))
    rows = xdf_rows(np.arange(20))
    write_xdf(tmp_path / "a.xdf", [(header("a", 100, ["b"]), "float32", rows[:, :2])], "")
    for path in (tmp_path / "a.wav", tmp_path / "a.xdf", RECORDINGS / "bdf_stim_channel.bdf"):
        assert (await opened(path))[0].warnings == ()


async def test_a_bdf_file_without_its_end(tmp_path: Path) -> None:
    _, complete = await opened(RECORDINGS / "bdf_stim_channel.bdf")
    content = (RECORDINGS / "bdf_stim_channel.bdf").read_bytes()
    (tmp_path / "a.bdf").write_bytes(content[: len(content) * 6 // 10])
    info, samples = await opened(tmp_path / "a.bdf")
    assert info.warnings == (
        "a.bdf ends after 5 s of the 10 s that its header states: 5 of 10 records are missing",
    )
    np.testing.assert_array_equal(samples, complete[:2500])
    (tmp_path / "a.bdf").write_bytes(content[:1500])
    with pytest.raises(SourceError, match="before its first samples"):
        await opened(tmp_path / "a.bdf")


async def test_an_xdf_file_that_ends_in_the_middle_of_a_chunk() -> None:
    info, samples = await opened(RECORDINGS / "clock_resets_cut.xdf")
    assert len(samples) == info.n_samples == 4767
    cut, footer, _ = info.warnings  # the third one is about its rate
    assert "ends in the middle of a chunk" in cut
    assert "BioSemi has no footer" in footer


@pytest.mark.parametrize("name", ["a.xdf", "a.xdf.gz"])
async def test_an_xdf_file_of_which_any_end_is_missing(tmp_path: Path, name: str) -> None:
    rows = xdf_rows(np.arange(20))
    write_xdf(tmp_path / "b.xdf", [(header("a", 100, ["b"]), "float32", rows[:, :2])], "")
    content = (tmp_path / "b.xdf").read_bytes()
    packed = gzip.compress(content) if name.endswith("gz") else content
    for missing in (1, 2, 3, 30, 60, 200):
        (tmp_path / name).write_bytes(packed[:-missing])
        try:
            info, _ = await opened(tmp_path / name)
        except SourceError:
            continue  # said
        assert info.warnings, missing


async def test_damaged_parts_of_xdf_file_are_skipped_and_reported(tmp_path: Path) -> None:
    streams = [(header("a", 100, ["b"]), "float32", xdf_rows(np.arange(20))[:, :2])]
    write_xdf(tmp_path / "a.xdf", streams, WHEN.isoformat())
    content = (tmp_path / "a.xdf").read_bytes()
    at = content.index(b"\x04" + (20).to_bytes(4, "little")) - 11  # where its samples begin
    damaged = chunk(3, (1).to_bytes(4, "little") + b"\x03" * 50)
    content = content[:at] + damaged + chunk(5, BOUNDARY) + content[at:]
    content = content.replace(b"<sample_count>20", b"<sample_count>26")
    (tmp_path / "a.xdf").write_bytes(content)
    info, samples = await opened(tmp_path / "a.xdf")
    np.testing.assert_array_equal(samples[:, 0], np.arange(20))
    damaged_parts, counted = info.warnings
    assert "parts of a.xdf cannot be read" in damaged_parts
    assert counted == "a has 20 of the 26 samples that its recorder counted"


async def test_an_edf_file_of_annotations_alone_says_so() -> None:
    with pytest.raises(SourceError, match=r"only annotations, and no signal"):
        await opened(RECORDINGS / "annotations_only.edf")


async def test_24_bits_keep_their_last_one_at_an_offset_of_the_electrode() -> None:
    info, samples = await opened(RECORDINGS / "bdf_stim_channel.bdf")
    content = (RECORDINGS / "bdf_stim_channel.bdf").read_bytes()
    header_bytes, n = 256 * 5, 500
    records = np.frombuffer(content[header_bytes:], np.uint8).reshape(10, 4, n, 3).astype(np.int32)
    counts = (records[..., 0] | records[..., 1] << 8 | records[..., 2] << 16) << 8 >> 8
    stored = counts.transpose(0, 2, 1).reshape(-1, 4)[:, 0]
    assert info.channels[0].unit == "uV"
    gain = (samples[1:, 0] - samples[:-1, 0]) / np.where(np.diff(stored) == 0, 1, np.diff(stored))
    moved = np.diff(stored) != 0
    np.testing.assert_allclose(gain[moved], gain[moved][0], rtol=1e-6)
