"""The page's files, and the assembly of its picture."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

import cwt_gateway
from cwt_gateway.page import POLICY
from cwt_schemas import http
from cwt_schemas.live import AnalysisResult
from pycwt_client.scalogram import Scalogram
from tests.memory_bus import MemoryBus
from tests.unit.gateway.conftest import gateway

pytestmark = pytest.mark.anyio

STATIC = Path(cwt_gateway.__file__).parent / "static"
#: A phone on a slow line waits about a second for this.
MAX_BUNDLE_BYTES = 60_000


async def get(path: str, **headers: str) -> httpx.Response:
    async with gateway(MemoryBus()) as client:
        return await client.get(path, headers=headers)


async def test_the_page_may_load_its_own_files_alone() -> None:
    reply = await get("/live")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert not re.findall(r"https?://|<style|<script[^>]*>[^<]|\son\w+=|\sstyle=", reply.text)
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', reply.text):
        assert (await get(path)).status_code == 200


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("live.js", "text/javascript; charset=utf-8"), ("live.css", "text/css; charset=utf-8")],
)
async def test_a_file_is_sent_once_until_it_changes(name: str, media_type: str) -> None:
    reply = await get(f"/static/{name}")
    assert reply.headers["content-type"] == media_type
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.content == (STATIC / name).read_bytes()
    again = await get(f"/static/{name}", **{"if-none-match": reply.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["live.ts", "..%2Fpage.py", "%2e%2e%2fapp.py"])
async def test_no_other_file_is_served(name: str) -> None:
    assert (await get(f"/static/{name}")).status_code == 404


def test_the_bundle_of_the_page_is_small() -> None:
    sizes = {
        name: len(gzip.compress((STATIC / name).read_bytes())) for name in ("live.css", "live.js")
    }
    assert sum(sizes.values()) <= MAX_BUNDLE_BYTES, sizes


def block(octave: int, first: int, n: int, rng: np.random.Generator) -> AnalysisResult:
    k = 3
    freqs = 8.0 * 2.0 ** -(octave + np.arange(k) / k)
    fields = {
        "id": f"s/e/a/h/{octave}/{first}",
        "stream": "s",
        "epoch": "e",
        "analysis": "a",
        "op": "wct",
        "channels": ("x", "y"),
        "octave": octave,
        "freqs_hz": freqs,
        "scales_s": 1 / freqs,
        "t": {"first_sample": first, "step": 4 << octave, "n": n},
        "fs_hz": 100.0,
        "values": rng.random((k, n)),
        "phase": rng.uniform(-3, 3, (k, n)),
        "signif": np.linspace(0.5, 0.9, k) + octave / 100,
        "mask": (rng.random((k, n)) < 0.2).astype(np.int16),
        "input": {"first_sample": 0, "n_samples": 100},
        "spec_hash": "0123456789abcdef",
        "engine": {"library": "l", "version": "v", "backend": "b", "worker": "w"},
        "times_ns": {"received": 1, "windowed": 2, "computed": 3},
    }
    return AnalysisResult.model_validate({"schema": "result.analysis/1", **fields})


SCRIPT = """
import { readFileSync } from "node:fs";
const { Scalogram } = await import(process.argv[1]);
const { results, samples } = JSON.parse(readFileSync(0, "utf8"));
const scalogram = new Scalogram("a", ["x", "y"]);
results.forEach((result, seq) => scalogram.add(result, seq + 1));
const { freqs, values, phase, state, signif } = scalogram.resample(samples);
const lists = Object.entries({ freqs, values, phase, state, signif });
console.log(JSON.stringify(Object.fromEntries(lists.map(([name, list]) => [name, [...list]]))));
"""


def in_node(script: str, sent: bytes) -> Any:
    """Return what a script prints as JSON; it gets the client as its argument."""
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script, (STATIC / "pycwt-client.js").as_uri()],
        input=sent,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


COVERS = """
import { readFileSync } from "node:fs";
const { Scalogram } = await import(process.argv[1]);
const scalogram = new Scalogram("a", ["x", "y"]);
const covers = JSON.parse(readFileSync(0, "utf8")).map((result, seq) => {
  scalogram.add(result, 100 - seq);
  return scalogram.covers(200, 100);
});
console.log(JSON.stringify(covers));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="not installed: node")
def test_a_picture_is_covered_by_a_block_more_of_every_octave() -> None:
    """Results of low octaves are stored last, and neighbours in either order."""
    rng = np.random.default_rng(1)
    newest_first = [
        block(2, 0, 8, rng),
        block(1, 192, 8, rng),
        block(1, 128, 8, rng),
        block(0, 192, 8, rng),
        block(0, 160, 8, rng),
    ]
    sent = orjson.dumps(
        [orjson.loads(http.to_json(each.model_dump(by_alias=True))) for each in newest_first]
    )

    assert in_node(COVERS, sent) == [False, False, False, False, True]


@pytest.mark.skipif(shutil.which("node") is None, reason="not installed: node")
@pytest.mark.parametrize("seed", range(3))
def test_the_page_puts_results_together_as_the_client_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = [
        block(octave, tile * (4 << octave) * 8, 8, rng)
        for octave in range(4)
        for tile in range(2 << (4 - octave))
    ]
    # In any order, some of them lost, some of them twice.
    some = [blocks[i] for i in rng.permutation(len(blocks))][: len(blocks) * 3 // 4]
    some += some[:3]
    expected = Scalogram("s", "a", ("x", "y"))
    for result in some:
        expected.add(result)
    picture = expected.resample(257)
    order = {"results": [result.model_dump(by_alias=True) for result in some]}
    sent = http.to_json({**order, "samples": picture.samples})
    found = {name: np.array(list_, float) for name, list_ in in_node(SCRIPT, sent).items()}
    shape = picture.values.shape
    assert orjson.loads(sent)["samples"] == picture.samples.tolist()
    np.testing.assert_array_equal(found["freqs"], picture.freqs_hz)
    np.testing.assert_array_equal(found["signif"], picture.signif)
    np.testing.assert_array_equal(found["state"].reshape(shape) != 0, picture.mask)
    np.testing.assert_array_equal(found["values"].reshape(shape), picture.values)
    np.testing.assert_array_equal(found["phase"].reshape(shape), picture.phase)
