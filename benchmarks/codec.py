"""Encoding and decoding messages, compared with the standard library's json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson

from benchmarks.clock import rounds
from benchmarks.measurement import Measurement, Work
from cwt_cli.samples import DEFINITION
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.live import AnalysisWindow, SignalChunk, Tile, WindowTimes
from cwt_schemas.message import Message
from cwt_schemas.query import CwtRequest
from cwt_schemas.stream import StreamDefinition
from pycwt_mod import rednoise

US = "cwt_schemas.codec"
PEER = "json"
#: Runs per measurement; a single run is too short for the clock.
WITHIN = 20


def request_work(n: int, repeats: int) -> Work:
    """Measure decoding a request from JSON to a validated message."""
    samples = rednoise(n, 0.7, rng=1)
    body = json.dumps({"data": samples.tolist(), "dt": 1.0}).encode()
    ours, theirs = _per_run(
        [
            lambda: decode(CwtRequest, body),
            lambda: np.asarray(json.loads(body)["data"], dtype=np.float64),
        ],
        repeats,
    )
    lines = (
        Measurement(who=US, seconds=ours, note=f"{len(body):,} bytes, every field checked"),
        Measurement(who=PEER, seconds=theirs, note="json.loads and np.asarray, nothing checked"),
    )
    return Work(title=f"decode a JSON request of {n:,} samples", measurements=lines)


def window_works(n: int, repeats: int) -> tuple[Work, Work]:
    """Measure encoding an analysis window to msgpack and decoding it."""
    window = _window(n)
    tree = {"samples": window.samples.tolist()}
    packed = encode(window, ContentType.MSGPACK, max_bytes=None)
    text = json.dumps(tree).encode()
    to_us, to_them, from_us, from_them = _per_run(
        [
            lambda: encode(window, ContentType.MSGPACK, max_bytes=None),
            lambda: json.dumps({"samples": window.samples.tolist()}).encode(),
            lambda: decode(AnalysisWindow, packed, ContentType.MSGPACK, max_bytes=None),
            lambda: np.asarray(json.loads(text)["samples"], dtype=np.float32),
        ],
        repeats,
    )
    sizes = f"{len(packed):,} bytes", f"{len(text):,} bytes, only the samples"
    titles = (
        f"encode a window of {n:,} x 2 float32 as msgpack",
        f"decode a window of {n:,} x 2 float32 from msgpack",
    )
    works = []
    for title, mine, peer in zip(titles, (to_us, from_us), (to_them, from_them), strict=True):
        lines = (
            Measurement(who=US, seconds=mine, note=sizes[0]),
            Measurement(who=PEER, seconds=peer, note=sizes[1]),
        )
        works.append(Work(title=title, measurements=lines))
    return works[0], works[1]


def scan_works(repeats: int) -> tuple[Work, ...]:
    """Measure the cost of counting the structure of messages before decoding."""
    chunk = SignalChunk(epoch="run", first_sample=0, samples=_window(250).samples)
    request = {"data": rednoise(10_000, 0.7, rng=1).tolist(), "dt": 1.0}
    window = encode(_window(4000), ContentType.MSGPACK, max_bytes=None)
    return (
        _scan_work("a window of 4,000 x 2 float32", AnalysisWindow, window, repeats),
        _scan_work(
            "a chunk of 250 x 2 float32", SignalChunk, encode(chunk, ContentType.JSON), repeats
        ),
        _scan_work("a request of 10,000 samples", CwtRequest, orjson.dumps(request), repeats),
    )


def _scan_work(what: str, model: type[Message], body: bytes, repeats: int) -> Work:
    kind = ContentType.JSON if body.startswith(b"{") else ContentType.MSGPACK
    scanned, trusted = _per_run(
        [lambda: decode(model, body, kind), lambda: decode(model, body, kind, trusted=True)],
        repeats,
    )
    lines = (
        Measurement(who=US, seconds=scanned, note=f"{len(body):,} bytes"),
        Measurement(who=f"{US}, trusted", seconds=trusted, note="its structure is not counted"),
    )
    return Work(title=f"decode {what}, counted first ({kind.name.lower()})", measurements=lines)


def _per_run(works: list[Callable[[], object]], repeats: int) -> list[tuple[float, ...]]:
    many = [_repeated(work) for work in works]
    return [tuple(each / WITHIN for each in times) for times in rounds(many, repeats)]


def _repeated(work: Callable[[], object]) -> Callable[[], object]:
    def run() -> None:
        for _ in range(WITHIN):
            work()

    return run


def _window(n: int) -> AnalysisWindow:
    definition = decode(StreamDefinition, Path(DEFINITION).read_bytes())
    spec: AnalysisSpec = definition.analyses[0]
    channels = spec.channel_sets[0]
    noise = np.stack([rednoise(n, 0.7, rng=seed) for seed in (1, 2)], axis=1)
    return AnalysisWindow(
        id="0" * 32, stream="icu", epoch="run", analysis=spec.narrowed(channels), fs_hz=125.0,
        channels=channels, octave=0, tile=Tile(first_sample=0, n=250),
        first_sample=0, samples=noise.astype(np.float32), spec_hash="0" * 16,
        times_ns=WindowTimes(received=1, windowed=2),
    )  # fmt: skip
