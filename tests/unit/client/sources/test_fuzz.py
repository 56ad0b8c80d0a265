"""Damaged files of every kind: one clear error, or samples that can be published.

A file that has lost its end is told, by an error or a warning, unless all samples are there. Each
case is made of its number: ``FUZZ_CASES=5000`` (``make fuzz``) tries so many of each kind and of
each damage, and ``FUZZ_FIRST`` begins at another number. A case that fails names its number.
"""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from cwt_schemas.chunk_codec import encode_raw_chunk
from cwt_schemas.codec import validated
from cwt_schemas.live import SignalChunk
from pycwt_client.signals import as_samples
from pycwt_client.sources import SourceError, named_source
from tests.damage import DAMAGES, cut
from tests.deadlines import fail_after
from tests.unit.client.sources.test_files import write_edf, xdf_rows
from tests.unit.client.sources.test_incomplete import RECORDINGS
from tests.unit.client.sources.xdf import header, write_xdf

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CASES = int(os.environ.get("FUZZ_CASES", "8"))
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
#: No file is larger, so that a case takes milliseconds.
MAX_BYTES = 60_000
N, FS = 600, 100


def csv_text(path: Path) -> None:
    rows = "".join(f"{at},{np.sin(at):.3f}\n" for at in range(N))
    path.write_text(f"# fs_hz={FS}\ntime,c3\n{rows}")


def wav(path: Path) -> None:
    wavfile.write(path, FS, np.arange(2 * N, dtype="<i2").reshape(N, 2))


def edf(path: Path) -> None:
    t = np.arange(N) / FS
    write_edf(path, [("C3", float(FS), np.sin(t)), ("C4", float(FS), np.cos(t))])


def xdf(path: Path) -> None:
    marks = np.array([[5001.5, 7], [5002.5, 8]])
    rows = xdf_rows(np.concatenate([np.arange(200), np.arange(250, N)]))
    streams = [
        (header("marks", 0, ["m"], "int16"), "int16", marks),
        *((header("amp", FS, ["a", "b"]), "float32", part) for part in (rows,)),
    ]
    write_xdf(path, streams, datetime(2020, 1, 2, tzinfo=UTC).isoformat())


def npy(path: Path) -> None:
    np.save(path, np.arange(2.0 * N).reshape(N, 2))


def npz(path: Path) -> None:
    np.savez(path, eeg=np.arange(2.0 * N).reshape(N, 2), fs=float(FS))


def parquet(path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet as pq

    table = pa.table({"time": np.arange(N) / FS, "c3": np.arange(float(N))})
    pq.write_table(table, path)


def real(name: str) -> Callable[[Path], None]:
    def copy(path: Path) -> None:
        path.write_bytes((RECORDINGS / name).read_bytes()[:MAX_BYTES])

    return copy


#: What the file is called, and what writes it.
FILES: dict[str, Callable[[Path], None]] = {
    "a.csv": csv_text,
    "a.wav": wav,
    "a.edf": edf,
    "a.xdf": xdf,
    "a.npy": npy,
    "a.npz": npz,
    "a.parquet": parquet,
    "real.bdf": real("bdf_stim_channel.bdf"),
    "real.xdf": real("clock_resets_cut.xdf"),
    "openbci.txt": real("openbci_gui_v6.txt"),
    "acc.csv": real("e4_acc.csv"),
}


TEXT = {".csv", ".txt"}


async def published(path: Path) -> tuple[int, tuple[str, ...]]:
    """Read a file as `play` does; return how many samples it has, and its warnings."""
    count = place = 0
    with fail_after(20):
        async with named_source(str(path), assumed_fs_hz=100.0).open() as signals:
            info = signals.info
            async for piece in signals:
                assert piece.first_sample >= place
                place, count = piece.next_sample, count + len(piece.samples)
                fields = {
                    "epoch": "e",
                    "first_sample": piece.first_sample,
                    "t0_ns": piece.t0_ns,
                    "samples": as_samples(piece.samples),
                }
                chunk = validated(SignalChunk, fields)
                encode_raw_chunk(chunk)
                assert chunk.n_channels == len(info.channels)
    assert info.n_samples == place
    return count, info.warnings


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", FILES)
async def test_a_damaged_file_is_an_error_or_can_be_published(
    tmp_path: Path, name: str, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    path = tmp_path / name
    FILES[name](path)
    content = path.read_bytes()
    whole, _ = await published(path)
    sentences: list[str] = []
    for number in range(FIRST, FIRST + CASES):
        rng = random.Random(f"{name} {damage.__name__} {number}")
        path.write_bytes(damage(content, rng))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                count, told = await published(path)
        except SourceError as error:
            sentences.append(str(error))
        except BaseException as error:
            error.add_note(f"case {number}")
            raise
        else:
            # A text that lacks whole lines is one that had fewer.
            silent = damage is cut and count < whole and not told and path.suffix not in TEXT
            assert not silent, f"case {number}"
    assert all(sentence and "\n" not in sentence for sentence in sentences)
