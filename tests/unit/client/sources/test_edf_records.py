"""EDF files that the driver refuses and other readers accept, and interrupted ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pyedflib
import pytest
from numpy.typing import NDArray

from pycwt_client.sources import ChoiceNeededError, SourceError, named_source
from pycwt_client.sources.edf_records import EdfRecords
from tests.unit.client.sources.test_files import WHEN, WHEN_NS, read, whole

pytestmark = pytest.mark.anyio

REAL = Path(__file__).parents[3] / "data/recordings"
EEG = ("EEG_Fpz-Cz", "EEG_Pz-Oz", "EOG_horizontal")
#: Signals in `short_psg.edf`, and where fields of its header begin.
SIGNALS = 7
UNIT, PHYSICAL_MIN, PHYSICAL_MAX = 256 + 96 * SIGNALS, 256 + 104 * SIGNALS, 256 + 112 * SIGNALS
RECORDS, DATE = 236, 168


def changed(folder: Path, *fields: tuple[int, bytes], size: int | None = None) -> str:
    """Return a copy of the polysomnogram, or of its beginning, with other bytes in its header."""
    content = bytearray((REAL / "short_psg.edf").read_bytes())
    for at, value in fields:
        content[at : at + len(value)] = value
    path = folder / "changed.edf"
    path.write_bytes(content[:size])
    return str(path)


async def samples_of(name: str, channels: tuple[str, ...]) -> NDArray[np.float64]:
    return whole((await read(named_source(name, channels=channels)))[1])


@pytest.mark.parametrize(
    "field",
    [
        (RECORDS, b"-1      "),  # the recorder did not come to its end
        (UNIT, b"\xb5V      "),
        (256, "EEG Fpz-Cz é".encode("latin-1")),
        (DATE, b"xx.xx.xx"),
        (PHYSICAL_MIN + 8 * 4, b"0       "),  # of a signal that is not read: no range
    ],
)
async def test_what_breaks_the_letter_of_the_format_changes_no_sample(
    tmp_path: Path, field: tuple[int, bytes]
) -> None:
    expected = await samples_of(str(REAL / "short_psg.edf"), EEG[1:])
    fields = (
        [field] if field[0] != PHYSICAL_MIN + 8 * 4 else [field, (PHYSICAL_MAX + 8 * 4, field[1])]
    )
    name = changed(tmp_path, *fields)
    with pytest.raises(OSError, match="compliant"):
        pyedflib.EdfReader(name)
    np.testing.assert_allclose(await samples_of(name, EEG[1:]), expected, rtol=1e-6)


async def test_numbers_with_a_comma_are_numbers(tmp_path: Path) -> None:
    content = (REAL / "short_psg.edf").read_bytes()
    least = content[PHYSICAL_MIN : PHYSICAL_MIN + 8].strip().decode()
    point = f"{float(least):.1f}".replace(".", ",").ljust(8).encode()
    name = changed(tmp_path, (PHYSICAL_MIN, point))
    expected = await samples_of(str(REAL / "short_psg.edf"), EEG)
    np.testing.assert_allclose(await samples_of(name, EEG), expected, rtol=1e-6)


async def test_what_is_wrong_with_the_header_is_a_warning(tmp_path: Path) -> None:
    name = changed(
        tmp_path, (RECORDS, b"-1      "), (DATE, b"xx.xx.xx"),
        (PHYSICAL_MIN + 8 * 4, b"0       "), (PHYSICAL_MAX + 8 * 4, b"0       "),
    )  # fmt: skip
    info, pieces = await read(named_source(name, channels=EEG))
    said = "; ".join(info.warnings)
    assert "states no length" in said
    assert "EMG submental" in said
    assert "no valid date" in said
    assert info.n_samples == 30_000
    assert pieces[0].t0_ns is None
    with pytest.raises(SourceError, match=r"EMG_submental .* no range"):
        await read(named_source(name, channels=("EMG_submental",)))
    with pytest.raises(ChoiceNeededError, match="--channels"):
        await read(named_source(name))


async def test_a_biosemi_file_with_blanks_before_its_numbers_is_read() -> None:
    info, pieces = await read(named_source(str(REAL / "biosemi_records.bdf")))
    assert (len(info.channels), info.fs_hz, info.n_samples) == (73, 2048.0, 2048)
    assert pieces[0].samples.dtype == np.float64
    # Counts of 24 bits, by hand: the first sample of the first channel.
    raw = (REAL / "biosemi_records.bdf").read_bytes()
    count = int.from_bytes(raw[18944:18947], "little", signed=True)
    header = raw[256:18944].decode("latin-1")
    low, high, least, most = (float(header[73 * at : 73 * at + 8]) for at in (120, 128, 104, 112))
    expected = least + (count - low) * (most - least) / (high - low)
    assert pieces[0].samples[0, 0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", [pyedflib.FILETYPE_EDFPLUS, pyedflib.FILETYPE_BDFPLUS])
async def test_the_driver_and_the_records_give_the_same(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "a.edf"
    write(path, np.random.default_rng(1).normal(size=(2, 1000)) * 50, kind)
    _, pieces = await read(named_source(str(path)))
    recorded = EdfRecords(path).recorded(None, 0.2, None)
    own = [piece async for piece in recorded]
    np.testing.assert_allclose(whole(own), whole(pieces), rtol=1e-6, atol=1e-9)
    assert own[0].t0_ns == pieces[0].t0_ns == WHEN_NS
    texts = [(mark.onset_s, mark.duration_s, mark.text) for mark in recorded.info.annotations]
    assert texts == [(2.5, 1.0, "spindle"), (7.0, 0.0, "µ-rhythm")]


def write(path: Path, signals: NDArray[np.float64], kind: int) -> None:
    bits = 23 if kind == pyedflib.FILETYPE_BDFPLUS else 15
    with pyedflib.EdfWriter(str(path), len(signals), kind) as writer:
        writer.setStartdatetime(datetime.fromisoformat(WHEN.isoformat()).replace(tzinfo=None))
        for at in range(len(signals)):
            writer.setSignalHeader(
                at,
                {
                    "label": f"C{at}", "dimension": "uV", "sample_frequency": 100,
                    "physical_max": 500.0, "physical_min": -500.0, "digital_max": 2**bits - 1,
                    "digital_min": -(2**bits), "transducer": "", "prefilter": "",
                },
            )  # fmt: skip
        writer.writeSamples(list(signals))
        writer.writeAnnotation(2.5, 1.0, "spindle")
        writer.writeAnnotation(7.0, -1, "µ-rhythm")


def interrupted(path: Path, onset: Callable[[int], float]) -> None:
    """Make an interrupted file of a continuous one; record n begins at `onset(n)` seconds."""
    content = bytearray(path.read_bytes())
    assert content[192:197] == b"EDF+C"
    content[192:197] = b"EDF+D"
    n_signals, header = int(content[252:256]), int(content[184:192])
    per = [int(content[256 + 216 * n_signals + 8 * at :][:8]) for at in range(n_signals)]
    record_bytes, marks = 2 * sum(per), 2 * sum(per[:-1])
    for number in range(int(content[236:244])):
        at = header + number * record_bytes + marks
        old = bytes(content[at : at + 2 * per[-1]])
        new = b"+%g\x14\x14\0" % onset(number) + old.partition(b"\x14\x14\0")[2]
        content[at : at + 2 * per[-1]] = new[: 2 * per[-1]].ljust(2 * per[-1], b"\0")
    path.write_bytes(content)


async def test_what_lies_between_the_records_of_an_interrupted_file_is_a_gap(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.edf"
    signals = np.random.default_rng(1).normal(size=(2, 1000)) * 50
    write(path, signals, pyedflib.FILETYPE_EDFPLUS)
    _, pieces = await read(named_source(str(path)))
    continuous = whole(pieces)
    interrupted(path, lambda number: 5.0 + number + (30.0 if number >= 6 else 0.0))
    info, pieces = await read(named_source(str(path)))
    samples = whole(pieces)
    assert len(samples) == info.n_samples == 4000
    np.testing.assert_array_equal(samples[:600], continuous[:600])
    np.testing.assert_array_equal(samples[3600:], continuous[600:])
    assert np.isnan(samples[600:3600]).all()
    assert pieces[0].t0_ns == WHEN_NS + 5_000_000_000


@pytest.mark.parametrize("size", [0, 100, 256, 300, 2047, 2048, 5000])
async def test_a_refused_file_that_is_cut_before_its_first_record_is_reported(
    tmp_path: Path, size: int
) -> None:
    name = changed(tmp_path, (RECORDS, b"-1      "), size=size)
    with pytest.raises(SourceError, match=r"changed\.edf"):
        await read(named_source(name, channels=EEG))
