"""A whole analysis out of the log, and the files that it is written to."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.io import netcdf_file

from cwt_schemas import subjects
from cwt_schemas.analysis import AnalysisSpec, SignificanceSpec
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import NotFound, PayloadTooLarge, Unprocessable
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import AnalysisResult
from cwt_schemas.marker import Marker
from cwt_schemas.message import Message
from cwt_schemas.pair_result import LiveResult
from cwt_schemas.stream import Channel, StreamDefinition, StreamGet, StreamLag, StreamStatus
from pycwt_client import Client, Export, Scalogram
from pycwt_client.export_reading import RESULT_BYTES
from tests.memory_bus import MemoryBus
from tests.pipeline import chunks_of, live_results, results
from tests.unit.client.conftest import serving

pytestmark = pytest.mark.anyio

MSGPACK = {CONTENT_TYPE: ContentType.MSGPACK.value}
FS_HZ = 64.0
N = 1200
T0_NS = 1_790_000_000_123_456_789


def spec(**changes: object) -> AnalysisSpec:
    fields: dict[str, object] = {
        "name": "a", "op": "cwt", "channels": ("x", "y"), "fmin_hz": 2.0, "fmax_hz": 16.0,
        "hop_s": 1.0, "quantity": "power", "voices_per_octave": 4,
    }  # fmt: skip
    return AnalysisSpec.model_validate({**fields, **changes})


def definition(*analyses: AnalysisSpec) -> StreamDefinition:
    channels = (Channel(name="x", unit="uV"), Channel(name="y", unit="mmHg"))
    return StreamDefinition(name="s", fs_hz=FS_HZ, channels=channels, analyses=analyses)


def computed(defined: StreamDefinition, epoch: str = "e") -> list[AnalysisResult]:
    """The results of a recording of two channels, of which some samples of y are missing."""
    t = np.arange(N) / FS_HZ
    samples = np.stack([np.sin(2 * np.pi * 8 * t), np.cos(2 * np.pi * 4 * t)], axis=1)
    samples[600:620, 1] = np.nan
    found = results(defined, chunks_of(samples, [N], epoch=epoch)).values()
    return [
        each.model_copy(update={"t0_ns": T0_NS + round(each.t.first_sample / FS_HZ * 1e9)})
        for each in found
    ]


@asynccontextmanager
async def keeping(
    bus: MemoryBus, found: Iterable[LiveResult], defined: StreamDefinition, epoch: str = "e"
) -> AsyncIterator[Client]:
    """Give a client of a bus whose log has these results."""
    for each in found:
        subject = subjects.result(each.stream, each.analysis)
        await bus.log.store(
            subject, encode(each, ContentType.MSGPACK), msg_id=each.id, headers=MSGPACK
        )
    status = StreamStatus(definition=defined, epoch=epoch, next_sample=N, lag=StreamLag(windows=2))

    def answer(_request: Message) -> Message:
        return status

    async with serving(bus, subjects.stream("get"), StreamGet, answer):
        yield Client(bus)


@pytest.fixture
async def export(bus: MemoryBus) -> Export:
    defined = definition(spec())
    async with keeping(bus, computed(defined), defined) as client:
        return await client.export("s")


async def test_every_value_of_the_highest_octave_is_in_the_export_as_it_was_computed(
    bus: MemoryBus,
) -> None:
    defined = definition(spec())
    found = computed(defined)
    async with keeping(bus, found, defined) as client:
        export = await client.export("s")
    assert export.channel_sets == (("x",), ("y",))
    assert export.values.shape == (2, len(export.freqs_hz), len(export.samples))
    assert (np.diff(export.freqs_hz) < 0).all()
    highest = min(each.octave for each in found)
    for each in found:
        if each.octave == highest and each.t.first_sample + each.t.step * each.t.n <= N:
            rows = np.searchsorted(-export.freqs_hz, -each.freqs_hz)
            columns = np.searchsorted(export.samples, each.positions)
            place = export.channel_sets.index(each.channels)
            part = export.values[place][np.ix_(rows, columns)]
            np.testing.assert_array_equal(part, each.values)
            np.testing.assert_array_equal(export.scales_s[rows], each.scales_s)


async def test_the_export_ends_with_the_recording_and_masks_what_is_missing(export: Export) -> None:
    assert export.samples[-1] < N
    masked = export.mask[:, 0, np.searchsorted(export.samples, 610)]
    np.testing.assert_array_equal(masked, [False, True])
    assert export.windows_waiting == 2


async def test_units_times_and_provenance_are_stated(export: Export) -> None:
    assert export.units == ("uV^2", "mmHg^2")
    assert export.times_ns is not None
    np.testing.assert_allclose(
        export.times_ns - T0_NS, export.samples / FS_HZ * 1e9, rtol=0, atol=2
    )
    about = export.provenance
    assert (about["stream"], about["epoch"], about["wavelet"]) == ("s", "e", "morlet")
    assert json.loads(str(about["definition"]))["fmax_hz"] == 16.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "unit"),
    [
        ({"quantity": "complex"}, "uV"),
        ({"op": "xwt", "channels": (), "pairs": (("x", "y"),)}, "uV mmHg"),
        ({"op": "xwt", "channels": (), "pairs": (("x", "y"),), "quantity": "complex"}, "uV mmHg"),
        ({"quantity": "phase"}, "rad"),
        (
            {
                "op": "wct", "channels": (), "pairs": (("x", "y"),), "quantity": "coherence",
                "significance": SignificanceSpec(),
            },
            "1",
        ),
    ],
)  # fmt: skip
async def test_each_quantity_is_exported_to_each_format(
    bus: MemoryBus, tmp_path: Path, changes: dict[str, object], unit: str
) -> None:
    defined = definition(spec(**changes))
    async with keeping(bus, computed(defined), defined) as client:
        export = await client.export("s", "a", step_s=0.25)
    assert export.units[0] == unit
    export.save_npz(tmp_path / "a.npz")
    export.save_csv(tmp_path / "a.csv")
    export.save_netcdf(tmp_path / "a.nc")
    export.save_picture(tmp_path / "a.png")
    assert set(contents(tmp_path)) == {"a.csv", "a.nc", "a.npz", "a.png"}
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with np.load(tmp_path / "a.npz") as saved:
        np.testing.assert_array_equal(saved["values"], export.values)
    with netcdf_file(tmp_path / "a.nc", mmap=False) as saved:
        name = "value_real" if np.iscomplexobj(export.values) else "value"
        np.testing.assert_array_equal(saved.variables[name][:], export.values.real)
    if export.signif is not None:
        assert np.isfinite(export.signif).all()
        assert export.provenance["significance_level"] == 0.95


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


async def test_the_table_has_a_row_for_each_value(export: Export, tmp_path: Path) -> None:
    export.save_csv(tmp_path / "a.csv")
    rows = rows_of(tmp_path / "a.csv")
    sets, k, n = export.values.shape
    assert len(rows) == sets * k * n
    row = rows[(1 * n + 7) * k + 2]
    assert row["channels"] == "y"
    assert float(row["time_s"]) == export.times_s[7]
    assert float(row["frequency_hz"]) == pytest.approx(export.freqs_hz[2], rel=1e-8)
    assert float(row["value"]) == pytest.approx(export.values[1, 2, 7], rel=1e-8)
    assert int(row["masked"]) == export.mask[1, 2, 7]
    assert export.times_ns is not None
    stamp = datetime.fromisoformat(row["utc"]).timestamp()
    assert stamp == pytest.approx(export.times_ns[7] / 1e9, abs=1e-5)
    assert "# unit of y: mmHg^2" in (tmp_path / "a.csv").read_text(encoding="utf-8")


async def test_netcdf_has_the_axes_that_xarray_reads(export: Export, tmp_path: Path) -> None:
    import xarray

    export.save_netcdf(tmp_path / "a.nc")
    with xarray.open_dataset(tmp_path / "a.nc", engine="scipy", decode_timedelta=False) as saved:
        assert saved.value.dims == ("set", "frequency", "time")
        assert saved.value.attrs["long_name"] == "power"
        assert saved.attrs["stream"] == "s"
        np.testing.assert_array_equal(saved.frequency, export.freqs_hz)
        assert export.times_ns is not None
        assert abs(saved.time.values.astype("<i8") - export.times_ns).max() <= 2_000


async def test_the_newest_epoch_is_exported_unless_another_is_named(bus: MemoryBus) -> None:
    defined = definition(spec())
    old, new = computed(defined, "old"), computed(defined, "new")
    # A result of the old epoch that a worker stores late.
    async with keeping(bus, [*old[:-1], *new, old[-1]], defined, "new") as client:
        assert (await client.export("s")).epoch == "new"
        found = await client.export("s", epoch="old")
        assert (found.epoch, found.provenance["results"]) == ("old", len(old))
        with pytest.raises(NotFound, match="old, new"):
            await client.export("s", epoch="older")


async def test_one_channel_set_can_be_chosen(bus: MemoryBus) -> None:
    defined = definition(spec())
    async with keeping(bus, computed(defined), defined) as client:
        assert (await client.export("s", channels=("y",))).labels == ("y",)
        with pytest.raises(NotFound, match="of z"):
            await client.export("s", channels=("z",))


async def test_an_export_that_takes_more_memory_than_it_may_is_refused(bus: MemoryBus) -> None:
    defined = definition(spec())
    found = computed(defined)
    read = sum(each.values.nbytes + each.values.size + RESULT_BYTES for each in found)
    async with keeping(bus, found, defined) as client:
        whole = await client.export("s")
        size = whole.values.nbytes + whole.mask.nbytes
        assert size < read
        await client.export("s", max_bytes=read)
        with pytest.raises(PayloadTooLarge):
            await client.export("s", max_bytes=read - 1, step_s=1000.0)
        await store_markers(bus, MARKERS[0])
        with pytest.raises(PayloadTooLarge):
            await client.export("s", max_bytes=read)


async def test_results_far_apart_are_refused_before_memory_is_taken_for_what_is_between(
    bus: MemoryBus,
) -> None:
    defined = definition(spec())
    first, *_ = found = computed(defined)
    at = first.t.model_copy(update={"first_sample": 2**50})
    far = first.model_copy(update={"id": "far", "t": at, "t0_ns": None})
    later = StreamStatus(definition=defined, epoch="other")
    for each in (*found, far):
        body = encode(each, ContentType.MSGPACK)
        await bus.log.store(subjects.result("s", "a"), body, msg_id=each.id, headers=MSGPACK)
    async with serving(bus, subjects.stream("get"), StreamGet, lambda _: later):
        with pytest.raises(PayloadTooLarge):
            await Client(bus).export("s", max_bytes=10**9)


async def test_of_several_analyses_one_has_to_be_chosen(bus: MemoryBus) -> None:
    defined = definition(spec(), spec(name="b"))
    async with keeping(bus, computed(defined), defined) as client:
        with pytest.raises(Unprocessable) as caught:
            await client.export("s")
        assert "a, b" in str(caught.value.detail)
        assert (await client.export("s", "b")).analysis == "b"
        with pytest.raises(NotFound, match="analysis c"):
            await client.export("s", "c")
        with pytest.raises(NotFound, match="t has no results"):
            await client.export("t")


async def test_results_by_a_definition_that_has_changed_since_have_no_units(bus: MemoryBus) -> None:
    found = computed(definition(spec()))
    async with keeping(bus, found, definition(spec(fmax_hz=12.0))) as client:
        export = await client.export("s")
    assert export.units == ("", "")
    assert "wavelet" not in export.provenance


MARKERS = (
    Marker(stream="s", epoch="e", first_sample=300, duration_s=0.5, channel="x", text="on"),
    Marker(stream="s", epoch="e", first_sample=615, n_samples=32, text="on"),
    Marker(stream="s", epoch="e", t_ns=T0_NS + round(500 / FS_HZ * 1e9), text="off; $x_"),
    Marker(stream="s", t_ns=T0_NS + round(1140.4 / FS_HZ * 1e9), text="on"),
    Marker(stream="s", epoch="e", first_sample=1, text="µ start"),
    # Not of this epoch.
    Marker(stream="s", epoch="other", first_sample=400, text="on"),
    Marker(stream="s", t_ns=T0_NS - 10**12, text="on"),
)
PLACES = [(1, "µ start"), (300, "on"), (500, "off; $x_"), (615, "on"), (1140, "on")]


async def store_markers(bus: MemoryBus, *markers: Marker) -> None:
    for number, each in enumerate(markers):
        body = encode(each, ContentType.MSGPACK)
        await bus.log.store(subjects.marker("s"), body, msg_id=f"m{number}", headers=MSGPACK)


@pytest.fixture
async def marked(bus: MemoryBus) -> Export:
    """The export with markers, one of which was stored twice, and one of another stream."""
    defined = definition(spec())
    forged = Marker(stream="t", epoch="e", first_sample=2, text="forged")
    await store_markers(bus, *MARKERS, MARKERS[0], forged)
    async with keeping(bus, computed(defined), defined) as client:
        return await client.export("s")


async def test_markers_of_the_epoch_are_in_the_export_at_their_samples(marked: Export) -> None:
    assert [(each.sample, each.text) for each in marked.markers] == PLACES
    on, later = marked.markers[1], marked.markers[3]
    assert (on.time_s, on.duration_s, on.channel) == (300 / FS_HZ, 0.5, "x")
    assert (later.duration_s, later.channel) == (0.5, "")
    assert marked.provenance["markers"] == 5


async def test_markers_by_time_have_no_place_where_the_device_sent_no_times(bus: MemoryBus) -> None:
    defined = definition(spec())
    found = [each.model_copy(update={"t0_ns": None}) for each in computed(defined)]
    await store_markers(bus, *MARKERS)
    async with keeping(bus, found, defined) as client:
        export = await client.export("s")
    assert [each.sample for each in export.markers] == [1, 300, 615]
    assert export.provenance["markers_without_place"] == 3


async def test_markers_are_in_every_file(marked: Export, tmp_path: Path) -> None:
    marked.save_npz(tmp_path / "a.npz")
    marked.save_csv(tmp_path / "a.csv")
    marked.save_netcdf(tmp_path / "a.nc")
    marked.save_picture(tmp_path / "a.svg")
    samples, texts = map(list, zip(*PLACES, strict=True))
    with np.load(tmp_path / "a.npz") as saved:
        assert saved["marker_samples"].tolist() == samples
        assert saved["marker_texts"].tolist() == texts
        assert saved["marker_channels"].tolist() == ["", "x", "", "", ""]
    with netcdf_file(tmp_path / "a.nc", mmap=False) as saved:
        assert saved.variables["marker_sample"][:].tolist() == samples
        padded = [b"".join(row) for row in saved.variables["marker_text"][:]]
        assert [each.rstrip(b"\0").decode() for each in padded] == texts
    noted = {row["time_s"]: row["markers"] for row in rows_of(tmp_path / "a.csv") if row["markers"]}
    step_s = marked.step_samples / FS_HZ
    assert list(noted.values()) == texts
    for time_s, sample in zip(noted, samples, strict=True):
        assert abs(float(time_s) - sample / FS_HZ) <= step_s / 2
    picture = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert picture.count("<!-- on -->") == 2 * 3
    assert picture.count("<!-- µ start -->") == 2


async def test_a_picture_with_many_markers_has_lines_without_labels(
    bus: MemoryBus, tmp_path: Path
) -> None:
    defined = definition(spec())
    beats = (Marker(stream="s", epoch="e", first_sample=at, text="N") for at in range(0, N, 10))
    await store_markers(bus, *beats)
    async with keeping(bus, computed(defined), defined) as client:
        (await client.export("s")).save_picture(tmp_path / "a.svg")
    picture = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "LineCollection" in picture
    assert "<!-- N -->" not in picture


@pytest.mark.parametrize("quantity", ["power", "complex"])
async def test_epochs_are_slices_of_the_export_around_its_markers(
    bus: MemoryBus, quantity: str
) -> None:
    defined = definition(spec(quantity=quantity))
    await store_markers(bus, *MARKERS)
    async with keeping(bus, computed(defined), defined) as client:
        export = await client.export("s")
    epochs = export.epochs("on", before_s=0.5, after_s=1.0)
    step = export.step_samples
    assert [each.sample for each in epochs.markers] == [300, 615, 1140]
    np.testing.assert_allclose(epochs.times_s[[0, -1]], [-0.5, 1.0], atol=step / FS_HZ)
    width = len(epochs.times_s)
    assert epochs.values.shape == (3, *export.values.shape[:2], width)
    for marker, values, mask in zip(epochs.markers, epochs.values, epochs.mask, strict=True):
        away = np.abs(export.samples - marker.sample)
        zero = int(np.flatnonzero(away == away.min())[-1])  # of two that are as near, the later
        begin = zero + round(epochs.times_s[0] * FS_HZ / step)
        inside = export.values[:, :, begin : begin + width]
        there = inside.shape[2]
        np.testing.assert_array_equal(values[..., :there], inside)
        np.testing.assert_array_equal(mask[..., :there], export.mask[:, :, begin : begin + width])
        assert np.isnan(values[..., there:]).all()
        assert mask[..., there:].all()
    # The last one reaches beyond the recording, and the gap in y is masked in the second.
    assert epochs.mask[2, 0, 0, -1]
    assert epochs.mask[1, :, 0, np.argmin(np.abs(epochs.times_s))].tolist() == [False, True]
    assert epochs.masked[1, 1].mask.any()


async def test_epochs_are_chosen_by_text_or_pattern(marked: Export, tmp_path: Path) -> None:
    around = {"before_s": 0.25, "after_s": 0.25}
    assert len(marked.epochs("o*", **around).markers) == 4
    assert len(marked.epochs("off; $x_", **around).markers) == 1
    with pytest.raises(NotFound, match=r"'O\*'; there are: off; \$x_, on, µ start"):
        marked.epochs("O*", **around)
    with pytest.raises(ValueError, match="finite"):
        marked.epochs("on", before_s=np.nan, after_s=1.0)
    with pytest.raises(ValueError, match="negative sum"):
        marked.epochs("on", before_s=-2.0, after_s=1.0)
    epochs = marked.epochs("on", **around)
    epochs.save_npz(tmp_path / "epochs.npz")
    with np.load(tmp_path / "epochs.npz") as saved:
        np.testing.assert_array_equal(saved["values"], epochs.values)
        np.testing.assert_array_equal(saved["times_s"], epochs.times_s)
        assert saved["marker_samples"].tolist() == [300, 615, 1140]
        assert json.loads(str(saved["provenance"]))["epochs_of"] == "on"


async def test_a_file_that_cannot_be_finished_leaves_what_was_there(
    export: Export, tmp_path: Path
) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("before")
    with pytest.raises(ValueError, match="xyz"):
        export.save_picture(path)
    assert contents(tmp_path) == {"a.xyz": b"before"}


async def test_the_pairs_of_one_message_are_exported_as_channel_sets(bus: MemoryBus) -> None:
    pairs = spec(
        op="wct", channels=("x", "y"), pairs="all", quantity="coherence", phase=True,
        significance=SignificanceSpec(level=0.95),
    )  # fmt: skip
    defined = definition(pairs)
    samples = np.random.default_rng(0).standard_normal((N, 2))
    found = [*live_results(defined, chunks_of(samples, [N], epoch="e"))]
    async with keeping(bus, found, defined) as client:
        export = await client.export("s", channels=("y", "x"))
        whole = await client.export("s")
    assert export.channel_sets == whole.channel_sets == (("x", "y"),)
    assert export.provenance["significance_level"] == 0.95
    assert export.phase is not None
    assert export.signif is not None
    listed = definition(spec(op="wct", channels=(), pairs=(("x", "y"),), quantity="coherence"))
    expected = Scalogram("s", "a", ("x", "y"))
    for each in results(listed, chunks_of(samples, [N], epoch="e")).values():
        expected.add(each)
    picture = expected.sampled(export.samples)
    np.testing.assert_array_equal(export.mask[0], picture.mask)
    free = ~picture.mask
    np.testing.assert_allclose(export.values[0][free], picture.values[free], atol=1e-5)
