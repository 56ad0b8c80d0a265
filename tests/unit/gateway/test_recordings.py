"""Uploads: what is defined and published, and what is refused with which sentence."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from scipy.io import wavfile

from cwt_gateway.uploads import Uploads
from cwt_schemas import storage
from cwt_schemas.chunk_codec import decode_chunk
from cwt_schemas.live import SignalChunk
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus
from tests.unit.client.sources.xdf import header, write_xdf
from tests.unit.gateway.conftest import catalogue, gateway

pytestmark = pytest.mark.anyio

MIB = 1024**2
ROWS = np.random.default_rng(3).standard_normal((6000, 2)).astype("<f4")
CSV = b"# fs_hz=100\necg,abp\n" + b"".join(b"%r,%r\n" % (float(a), float(b)) for a, b in ROWS)
PATH = "/api/v1/streams/icu/recording"


def wav(samples: np.ndarray[Any, Any], fs_hz: int) -> bytes:
    file = io.BytesIO()
    wavfile.write(file, fs_hz, samples)
    return file.getvalue()


async def upload(
    http: httpx.AsyncClient, body: bytes, filename: str = "icu.csv", **parameters: Any
) -> httpx.Response:
    with fail_after(20):
        return await http.post(PATH, content=body, params={"filename": filename, **parameters})


async def published(bus: MemoryBus, channels: int, epoch: str | None = None) -> list[SignalChunk]:
    """Return the chunks of the stream up to the end of `epoch`, or of any."""
    chunks: list[SignalChunk] = []
    with fail_after(20):
        async with bus.log.replay(storage.SIGNALS, ("cwt.signal.icu",)) as stored:
            async for each in stored:
                chunk = decode_chunk(each.message.headers, each.message.data, channels)
                chunks.append(chunk)
                if chunk.final and epoch in {None, chunk.epoch}:
                    return chunks
    raise AssertionError("the log ended")


async def test_a_file_defines_its_stream_and_is_published_whole(bus: MemoryBus) -> None:
    async with catalogue(bus), gateway(bus) as http:
        reply = await upload(http, CSV)
        chunks = await published(bus, 2)
    told = reply.json()
    assert reply.status_code == 202, reply.text
    assert (told["stream"], told["n_samples"], told["fs_hz"]) == ("icu", 6000, 100.0)
    (analysis,) = told["definition"]["analyses"]
    assert (analysis["op"], analysis["pairs"]) == ("wct", [["ecg", "abp"]])
    assert (analysis["fmin_hz"], analysis["fmax_hz"]) == (8 / 60, 25.0)
    assert {each.epoch for each in chunks} == {told["epoch"]}
    np.testing.assert_array_equal(np.concatenate([c.samples for c in chunks[:-1]]), ROWS)


@pytest.mark.parametrize(
    ("body", "filename"),
    [
        (gzip.compress(CSV), "icu.CSV.gz"),
        (wav((ROWS * 1000).astype(np.int16), 100), "icu.wav"),
        (gzip.compress(wav(ROWS, 100)), "my recording.wav.gz"),
    ],
)
async def test_the_ending_says_how_a_file_is_read(
    bus: MemoryBus, body: bytes, filename: str
) -> None:
    async with catalogue(bus), gateway(bus) as http:
        reply = await upload(http, body, filename)
        chunks = await published(bus, 2)
    assert (reply.status_code, reply.json()["fs_hz"]) == (202, 100.0)
    assert sum(each.n_samples for each in chunks) == len(ROWS)


async def test_a_header_that_names_a_file_of_the_gateways_disk_is_refused(
    bus: MemoryBus, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(1000))
    header = f"Brain Vision Data Exchange Header File Version 1.0\nDataFile={secret}\n"
    async with catalogue(bus), gateway(bus) as http:
        reply = await upload(http, header.encode(), "night.vhdr")
    assert reply.status_code == 422
    assert "names other files" in reply.json()["detail"]


async def test_of_several_streams_in_an_xdf_file_the_name_chooses_one(
    bus: MemoryBus, tmp_path: Path
) -> None:
    rows = np.column_stack([np.arange(200) / 100, ROWS[:200]]).astype(np.float64)
    streams = [(header(name, 100, ["a", "b"]), "float32", rows) for name in ("one", "the other")]
    write_xdf(tmp_path / "a.xdf", streams, "2026-11-30T08:00:00+00:00")
    body = (tmp_path / "a.xdf").read_bytes()
    async with catalogue(bus), gateway(bus) as http:
        which = await upload(http, body, "night.xdf")
        assert (which.status_code, "one, the other" in which.json()["detail"]) == (422, True)
        reply = await upload(http, gzip.compress(body), "night.xdf.gz#the other")
        chunks = await published(bus, 2)
    assert (reply.status_code, reply.json()["n_samples"]) == (202, 200)
    np.testing.assert_array_equal(chunks[0].samples, ROWS[:200])


async def test_parameters_say_what_is_computed_of_which_channels(bus: MemoryBus) -> None:
    body = b"a,b,c\n" + b"1,2,3\n2,1,3\n" * 500
    wanted = {"power": "c,a", "coherence": "a,c", "band": "1,4", "channels": "c,a", "fs_hz": "20.5"}
    async with catalogue(bus), gateway(bus) as http:
        assert "does not state its sampling rate" in (await upload(http, body)).json()["detail"]
        told = (await upload(http, body, **wanted)).json()
        chunks = await published(bus, 2)
    power, coherence = told["definition"]["analyses"]
    assert told["fs_hz"] == 20.5
    assert (power["channels"], coherence["pairs"]) == (["c", "a"], [["a", "c"]])
    assert (power["fmin_hz"], coherence["fmax_hz"]) == (1.0, 4.0)
    assert chunks[0].samples[0].tolist() == [3, 1]


async def test_the_same_upload_again_continues_its_epoch(bus: MemoryBus) -> None:
    async with catalogue(bus), gateway(bus) as http:
        first = await upload(http, CSV)
        chunks = await published(bus, 2)
        again = await upload(http, CSV)
        assert again.json() == first.json()
        other = await upload(http, CSV.replace(b"ecg", b"ekg"))
        assert other.status_code == 409
        await http.delete("/api/v1/streams/icu")
        anew = (await upload(http, CSV, band="1,20")).json()
        assert anew["epoch"] != first.json()["epoch"]
        # Without an ingest, which knows the samples, the upload may publish them again.
        epochs = [each.epoch for each in await published(bus, 2, anew["epoch"])]
    assert epochs.count(anew["epoch"]) == len(chunks)


@pytest.mark.parametrize(
    ("defined", "parameters", "sentence"),
    [
        ({"fs_hz": 50.0}, {}, "it has 50 Hz and not 100 Hz"),
        ({"channels": [{"name": "x"}]}, {}, "it has the channels x and not ecg, abp"),
        ({}, {"power": "ecg"}, "it has no analysis power"),
    ],
)
async def test_a_stream_that_does_not_fit_the_file_is_a_conflict(
    bus: MemoryBus, defined: dict[str, Any], parameters: dict[str, str], sentence: str
) -> None:
    definition = {"fs_hz": 100.0, "channels": [{"name": "ecg"}, {"name": "abp"}]} | defined
    async with catalogue(bus), gateway(bus) as http:
        put = await http.put("/api/v1/streams/icu", json=definition)
        reply = await upload(http, CSV, **parameters)
        assert (put.status_code, reply.status_code) == (200, 409)
        assert sentence in reply.json()["detail"]
    assert await bus.log.last_seq(storage.SIGNALS) == 0


@pytest.mark.parametrize(
    ("body", "filename", "parameters", "sentence"),
    [
        (b"a,b\n1,2\n3\n", "my-recording.csv", {}, "my-recording.csv, line 3: 1 fields"),
        (b"MThd", "x.wav", {}, "cannot read x.wav as WAV"),
        (b"MThd", "x.xdf", {}, "x.xdf is not an XDF file"),
        (b"MThd", "x.edf", {}, "x.edf"),
        (b"MThd", "x.csv.gz", {}, "not a complete gzip file"),
        (b"", "../../etc/passwd", {}, "../../etc/passwd has no samples"),
        (CSV, "x.csv", {"power": "eeg"}, "no channel eeg"),
        (CSV, "x.csv", {"band": "40,2"}, "band: the lowest and the highest"),
        (CSV, "x.csv", {"coherence": "ecg"}, "coherence: two channels"),
        (CSV, "x.csv", {"speed": -1}, "speed"),
        (CSV, "x.csv", {"speed": 1e308}, "speed"),
        (CSV, "x.csv", {"fs_hz": 1e308}, "fs_hz"),
        (CSV, "", {}, "filename"),
    ],
)
async def test_what_cannot_be_read_is_refused_in_the_words_of_its_source(
    bus: MemoryBus, body: bytes, filename: str, parameters: dict[str, Any], sentence: str
) -> None:
    async with catalogue(bus), gateway(bus) as http:
        reply = await upload(http, body, filename, **parameters)
        assert (reply.status_code, reply.json()["code"]) == (422, "unprocessable"), reply.text
        assert sentence in reply.json()["detail"]
        assert "cwt-upload" not in reply.text
        assert (await http.get("/api/v1/streams/icu")).status_code == 404


async def test_a_file_without_its_end_is_published_and_the_reply_says_so(bus: MemoryBus) -> None:
    whole = wav(np.zeros((1000, 2), "<i2"), 100)
    async with catalogue(bus), gateway(bus) as http:
        reply = await upload(http, whole[:-400], "x.wav")
        assert reply.status_code == 202
        assert reply.json()["warnings"] == [
            "x.wav ends after 9 s of the 10 s that its header states: 100 samples are missing"
        ]
        assert sum(chunk.n_samples for chunk in await published(bus, 2)) == 900


async def test_more_than_is_possible_is_refused_packed_or_not(bus: MemoryBus) -> None:
    large = b"a\n" + b"1\n" * MIB
    async with catalogue(bus), gateway(bus, http_upload_max_bytes=MIB) as http:
        for body, filename in ((large, "x.csv"), (gzip.compress(large), "x.csv.gz")):
            reply = await upload(http, body, filename)
            assert (reply.status_code, reply.json()["code"]) == (413, "payload_too_large")


async def test_a_stream_takes_one_recording_at_a_time_until_it_is_ended(bus: MemoryBus) -> None:
    async with catalogue(bus), gateway(bus) as http:
        slow = await upload(http, CSV, speed=0.001)
        assert (await upload(http, CSV)).json() == slow.json()
        other = await upload(http, CSV + b"1,2\n")
        assert (other.status_code, "another recording" in other.json()["detail"]) == (409, True)
        await http.delete("/api/v1/streams/icu")
        assert (await upload(http, CSV)).status_code == 202
        assert sum(each.n_samples for each in await published(bus, 2)) == len(ROWS)


async def test_of_too_many_uploads_the_last_is_refused_until_one_has_ended(bus: MemoryBus) -> None:
    uploads = Uploads(limit=1)
    async with catalogue(bus), gateway(bus, uploads=uploads) as http:
        with uploads.slots.taken():
            refused = await upload(http, CSV)
        assert (await upload(http, CSV)).status_code == 202
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    assert "1 recordings are being received" in refused.json()["detail"]
