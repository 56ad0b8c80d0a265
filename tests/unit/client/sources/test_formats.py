"""Recordings of devices, archives and other programs, as they are: real files where there are any.

Where a library writes the format, it writes the file here; it is read through `named_source`.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from pycwt_client.sources import Annotation, SourceError, named_source
from tests.unit.client.sources.test_files import read, whole

pytestmark = pytest.mark.anyio

WHEN_NS = 1_700_000_000_250_000_000
REAL = Path(__file__).parents[3] / "data/recordings"


async def test_a_recording_of_the_openbci_gui_is_placed_by_its_counter_and_its_times() -> None:
    info, pieces = await read(named_source(str(REAL / "openbci_gui_v6.txt")))
    assert info.fs_hz == 250.0
    assert info.channel_names[:2] == ("EXG_Channel_0", "EXG_Channel_1")
    assert [channel.unit for channel in info.channels] == ["uV"] * 8 + ["g"] * 3
    np.testing.assert_allclose(pieces[0].samples[0, :3], [61379.36, 49492.89, -16597.06], rtol=1e-6)
    assert pieces[0].t0_ns == 1_557_936_053_329_000_000
    assert sum(len(piece.samples) for piece in pieces) == 4995
    # The counter has no hole: the recording has none.
    assert info.n_samples == 4995
    assert info.measured_fs_hz == pytest.approx(250, rel=2e-3)


def openbci(rows: list[str], *, named: bool = True) -> str:
    header = ["%OpenBCI Raw EEG Data", "%Number of channels = 2", "%Sample Rate = 100.0 Hz"]
    if named:
        header.append("Sample Index, EXG Channel 0, EXG Channel 1, Timestamp, Marker Channel")
    return "\n".join([*header, *rows]) + "\n"


async def test_lost_samples_of_openbci_are_a_gap_and_markers_are_annotations(
    tmp_path: Path,
) -> None:
    counts = [each % 256 for each in range(600) if not 100 <= each < 130]
    rows = [
        f"{count}, {at}.5, -{at}.5, {1.7e9 + at / 100:.4f}, {7.0 if at == 300 else 0.0}"
        for at, count in enumerate(counts)
    ]
    path = tmp_path / "OpenBCI-RAW.txt"
    path.write_text(openbci([*rows, "12, 1.0"]))
    info, pieces = await read(named_source(str(path)))
    assert info.n_samples == 600
    samples = whole(pieces)
    assert np.isnan(samples[100:130]).all()
    assert not np.isnan(np.delete(samples, np.s_[100:130], axis=0)).any()
    assert info.annotations == (Annotation(onset_s=3.3, duration_s=0.0, text="7"),)
    assert "middle of a line" in info.warnings[0]


async def test_openbci_of_version_4_has_no_names_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    path.write_text(
        openbci([f"{each}, {each}.0, 1.0, 0.1, 0.2, 0.3" for each in range(20)], named=False)
    )
    info, pieces = await read(named_source(str(path)))
    assert info.channel_names[:3] == ("EXG_Channel_0", "EXG_Channel_1", "Accel_Channel_0")
    np.testing.assert_array_equal(whole(pieces)[:, 0], np.arange(20))


@pytest.mark.parametrize("rate", ["..", "1.2.3", "fast"])
async def test_a_rate_of_openbci_that_is_not_a_number_is_reported(
    tmp_path: Path, rate: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text(openbci(["0, 1, 2, 3, 0"]).replace("100.0", rate))
    with pytest.raises(SourceError, match="--fs"):
        await read(named_source(str(path)))


async def test_a_file_of_an_e4_without_samples_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "EDA.csv"
    path.write_text("1560279825\n4\n\n\n")
    with pytest.raises(SourceError, match="then samples"):
        await read(named_source(str(path)))


@pytest.mark.parametrize(
    ("name", "channels", "fs_hz", "first"),
    [
        ("e4_acc.csv", ("acc_x", "acc_y", "acc_z"), 32.0, [-61, 25, 6]),
        ("e4_bvp.csv", ("bvp",), 64.0, [0]),
    ],
)
async def test_a_file_of_an_e4_has_its_start_and_its_rate_in_its_first_lines(
    name: str, channels: tuple[str, ...], fs_hz: float, first: list[float]
) -> None:
    info, pieces = await read(named_source(str(REAL / name)))
    assert (info.channel_names, info.fs_hz) == (channels, fs_hz)
    np.testing.assert_array_equal(pieces[0].samples[0], first)
    assert pieces[0].t0_ns == 1_560_279_825_000_000_000
    assert info.n_samples == 5998


@pytest.mark.parametrize("name", ["a103l.hea", "a103l"])
async def test_a_wfdb_record_is_read_in_physical_units(name: str) -> None:
    async with named_source(f"wfdb:{REAL / name}").open() as signals:
        first = await anext(aiter(signals))
    assert [(each.name, each.unit) for each in signals.info.channels] == [
        ("II", "mV"), ("V", "mV"), ("PLETH", "NU"),
    ]  # fmt: skip
    assert (signals.info.fs_hz, signals.info.n_samples) == (250.0, 82500)
    # (count - offset) / gain, by the header.
    np.testing.assert_allclose(first.samples[0, 0], -171 / 7247, rtol=1e-6)


async def test_a_wfdb_record_is_read_to_its_end_with_the_signals_that_are_chosen() -> None:
    info, pieces = await read(named_source(str(REAL / "a103l.hea"), channels=("PLETH",)))
    assert info.channel_names == ("PLETH",)
    counts = loadmat(REAL / "a103l.mat")["val"][2]
    np.testing.assert_allclose(whole(pieces)[:, 0], counts / 12_530, rtol=1e-6)  # by the header


async def test_beats_of_a_wfdb_record_are_annotations_and_invalid_samples_are_missing(
    tmp_path: Path,
) -> None:
    signal = np.sin(np.arange(500.0))[:, None]
    signal[20:30] = np.nan
    begun = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about how the package uses it
        import wfdb

        wfdb.wrsamp(
            "r", fs=100, units=["mV"], sig_name=["MLII"], p_signal=signal, fmt=["16"],
            write_dir=str(tmp_path), base_datetime=begun.replace(tzinfo=None),
        )  # fmt: skip
        wfdb.wrann("r", "atr", np.array([50, 150]), symbol=["N", "V"], write_dir=str(tmp_path))
    info, pieces = await read(named_source(str(tmp_path / "r.hea")))
    np.testing.assert_array_equal(np.isnan(whole(pieces)[:, 0]), np.isnan(signal[:, 0]))
    assert [(each.onset_s, each.text) for each in info.annotations] == [(0.5, "N"), (1.5, "V")]
    assert pieces[0].t0_ns == int(begun.timestamp()) * 1_000_000_000


async def test_a_wfdb_record_that_was_cut_is_reported_when_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a103l.hea").write_bytes((REAL / "a103l.hea").read_bytes())
    (tmp_path / "a103l.mat").write_bytes((REAL / "a103l.mat").read_bytes()[:20_000])
    with pytest.raises(SourceError, match="a103l as a WFDB record"):
        await read(named_source(str(tmp_path / "a103l.hea")))


@pytest.mark.parametrize("length", ["", " 0"])
async def test_a_wfdb_header_without_a_number_of_samples_is_reported(
    tmp_path: Path, length: str
) -> None:
    (tmp_path / "n.hea").write_text(f"n 1 100{length}\nn.dat 16 10(0)/uV 16 0 0 0 0 C3\n")
    with pytest.raises(SourceError, match=r"n as a WFDB record: .* how many samples"):
        await read(named_source(str(tmp_path / "n.hea")))


async def test_brainvision_is_read_with_its_units_and_markers() -> None:
    info, pieces = await read(named_source(str(REAL / "test.vhdr")))
    assert (info.fs_hz, info.n_samples, len(info.channels)) == (1000.0, 7900, 32)
    assert (info.channels[0].name, info.channels[0].unit) == ("FP1", "uV")
    raw = np.fromfile(REAL / "test.eeg", "<i2").reshape(-1, 32)
    np.testing.assert_allclose(whole(pieces)[:, :26], raw[:, :26] * 0.5, rtol=1e-6)
    texts = [mark.text for mark in info.annotations]
    assert "Stimulus/S253" in texts
    assert info.annotations[texts.index("Stimulus/S253")].onset_s == pytest.approx(0.486)
    begun = datetime(2013, 11, 13, 16, 14, 3, 794232, tzinfo=UTC)
    assert pieces[0].t0_ns == pytest.approx(begun.timestamp() * 1e9, abs=1e3)
    chosen, _ = await read(named_source(str(REAL / "test.vhdr"), channels=("C4", "C3")))
    assert chosen.channel_names == ("C4", "C3")


async def test_a_brainvision_file_without_its_samples_is_reported(tmp_path: Path) -> None:
    (tmp_path / "test.vhdr").write_bytes((REAL / "test.vhdr").read_bytes())
    with pytest.raises(SourceError, match=r"test\.vhdr"):
        await read(named_source(str(tmp_path / "test.vhdr")))


async def test_a_fif_file_is_read_and_what_it_skipped_is_missing(tmp_path: Path) -> None:
    import mne

    data = np.random.default_rng(1).normal(size=(2, 1000)) * 1e-5
    raw = mne.io.RawArray(data, mne.create_info(["C3", "C4"], 250.0, "eeg"), verbose="ERROR")
    raw.set_annotations(mne.Annotations([1.0, 3.0], [0.2, 0.0], ["BAD_ACQ_SKIP", "eyes open"]))
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="ERROR")
    info, pieces = await read(named_source(str(tmp_path / "a_raw.fif")))
    expected = data.T * 1e6
    expected[250:300] = np.nan
    np.testing.assert_allclose(whole(pieces), expected, rtol=1e-6)
    assert Annotation(onset_s=3.0, duration_s=0.0, text="eyes open") in info.annotations


async def test_an_eeglab_set_is_read(tmp_path: Path) -> None:
    data = np.arange(400, dtype=np.float32).reshape(2, 200)
    locations = np.array([("C3",), ("C4",)], dtype=[("labels", object)])
    eeg = {
        "srate": 100.0, "nbchan": 2, "pnts": 200, "trials": 1, "xmin": 0.0, "data": data,
        "chanlocs": locations, "event": [], "epoch": [], "icawinv": [], "icaweights": [],
        "icasphere": [], "setname": "s",
    }  # fmt: skip
    savemat(tmp_path / "a.set", {"EEG": eeg})
    info, pieces = await read(named_source(str(tmp_path / "a.set")))
    assert (info.fs_hz, info.channel_names) == (100.0, ("C3", "C4"))
    np.testing.assert_allclose(whole(pieces), data.T, rtol=1e-6)


async def test_seismic_records_have_gaps_where_no_channel_was_recorded(tmp_path: Path) -> None:
    import pymseed

    z, n = np.arange(1000, dtype=np.int32), np.arange(1000, 2000, dtype=np.int32)
    traces = pymseed.MS3TraceList()
    path = tmp_path / "a.mseed"
    for source, part, at_s in [
        ("FDSN:IU_ANMO_00_B_H_Z", z[:400], 0.0), ("FDSN:IU_ANMO_00_B_H_Z", z[600:], 30.0),
        ("FDSN:IU_ANMO_00_B_H_N", n[:300], 0.0), ("FDSN:IU_ANMO_00_B_H_N", n[600:], 30.0),
    ]:  # fmt: skip
        traces.add_data(
            sourceid=source, data_samples=part, sample_type="i", sample_rate=20.0,
            starttime=WHEN_NS + round(at_s * 1e9),
        )  # fmt: skip
    traces.to_file(str(path))
    info, pieces = await read(named_source(str(path)))
    assert set(info.channel_names) == {"IU_ANMO_00_BHZ", "IU_ANMO_00_BHN"}
    assert (info.fs_hz, info.n_samples, pieces[0].t0_ns) == (20.0, 1000, WHEN_NS)
    samples = whole(pieces)
    expected_z, expected_n = z.astype(float), n.astype(float)
    expected_z[400:600], expected_n[300:600] = np.nan, np.nan
    np.testing.assert_array_equal(
        samples[:, info.channel_names.index("IU_ANMO_00_BHZ")], expected_z
    )
    np.testing.assert_array_equal(
        samples[:, info.channel_names.index("IU_ANMO_00_BHN")], expected_n
    )
    assert next(piece.first_sample for piece in pieces if piece.first_sample >= 400) == 600


async def test_a_parquet_file_has_its_rate_in_its_times(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    times = np.datetime64(WHEN_NS, "ns") + np.arange(300) * np.timedelta64(10_000_000, "ns")
    times[200:] += np.timedelta64(1_000_000_000, "ns")
    table = pa.table(
        {"time": times, "ecg": np.arange(300.0), "note": ["x"] * 300, "abp": [None, *range(1, 300)]}
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    info, pieces = await read(named_source(str(tmp_path / "a.parquet")))
    assert (info.fs_hz, info.channel_names) == (100.0, ("ecg", "abp"))
    assert pieces[0].t0_ns == WHEN_NS
    samples = whole(pieces)
    assert np.isnan(samples[0, 1])
    assert (np.isnan(samples[:, 0]).sum(), len(samples)) == (100, 400)
    chosen, _ = await read(named_source(str(tmp_path / "a.parquet"), channels=("abp",)))
    assert chosen.channel_names == ("abp",)


async def test_a_parquet_file_may_state_its_rate(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"ecg": [1.0, 2.0]})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="--fs"):
        await read(named_source(str(tmp_path / "a.parquet")))
    parquet.write_table(table.replace_schema_metadata({"fs_hz": "8"}), tmp_path / "b.parquet")
    assert (await read(named_source(str(tmp_path / "b.parquet"))))[0].fs_hz == 8.0


async def test_a_numpy_array_needs_a_rate_and_keeps_its_type(tmp_path: Path) -> None:
    array = np.arange(60, dtype="<i2").reshape(30, 2)
    np.save(tmp_path / "a.npy", array)
    info, pieces = await read(named_source(str(tmp_path / "a.npy"), fs_hz=10.0))
    assert info.channel_names == ("ch1", "ch2")
    assert pieces[0].samples.dtype.str == "<i2"
    np.testing.assert_array_equal(whole(pieces), array)
    with pytest.raises(SourceError, match="--fs"):
        await read(named_source(str(tmp_path / "a.npy")))
    np.save(tmp_path / "t.npy", np.zeros((4, 5000)))
    with pytest.raises(SourceError, match=r"\(time, channel\) is expected"):
        await read(named_source(str(tmp_path / "t.npy"), fs_hz=10.0))


async def test_a_numpy_archive_states_names_units_rate_and_times(tmp_path: Path) -> None:
    table = np.arange(8.0).reshape(4, 2)
    np.savez(tmp_path / "a.npz", data=table, ch_names=["C3", "C4"], units=["uV", "uV"], sfreq=5)
    info, pieces = await read(named_source(str(tmp_path / "a.npz")))
    assert info.fs_hz == 5.0
    assert [(each.name, each.unit) for each in info.channels] == [("C3", "uV"), ("C4", "uV")]
    np.testing.assert_array_equal(whole(pieces), table)
    times_ms = WHEN_NS // 1_000_000 + np.arange(100) * 4
    np.savez(tmp_path / "b.npz", time_ms=times_ms, ecg=np.arange(100), abp=np.ones(100))
    info, pieces = await read(named_source(str(tmp_path / "b.npz")))
    assert (info.fs_hz, info.channel_names) == (250.0, ("ecg", "abp"))
    assert pieces[0].t0_ns == WHEN_NS


async def test_a_trigger_of_true_and_false_is_numbers(tmp_path: Path) -> None:
    """Publishing it was refused."""
    trigger = np.arange(10) % 3 == 0
    np.save(tmp_path / "a.npy", trigger)
    np.savez(tmp_path / "a.npz", trigger=trigger, fs=10)
    for name in ("a.npy", "a.npz"):
        _, pieces = await read(named_source(str(tmp_path / name), fs_hz=10.0))
        assert pieces[0].samples.dtype.str == "<i2"
        np.testing.assert_array_equal(whole(pieces)[:, 0], trigger)


async def test_pickled_objects_are_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SourceError, match="NumPy file"):
        await read(named_source(str(tmp_path / "a.npy"), fs_hz=1.0))


@pytest.mark.parametrize(
    "name", ["a.npy", "a.npz", "a.parquet", "a.mseed", "a.vhdr", "a.fif", "a.hea"]
)
@pytest.mark.parametrize("content", [b"", b"nothing of the kind", bytes(range(256)) * 20])
async def test_what_is_not_of_the_kind_is_reported_by_its_name(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        await read(named_source(str(tmp_path / name), fs_hz=10.0))
    assert str(tmp_path / "a") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.vhdr", "other files"),
        ("a.set", "other files"),
        ("a.hea", "other files"),
        ("a.npz", "any size"),
        ("a.parquet", "any size"),
    ],
)
def test_untrusted_file_cannot_reference_files_or_exhaust_memory(
    tmp_path: Path, name: str, reason: str
) -> None:
    """A header that names /etc/passwd as its file of samples would publish it."""
    (tmp_path / name).touch()
    with pytest.raises(SourceError, match=reason):
        named_source(str(tmp_path / name), untrusted=True)
