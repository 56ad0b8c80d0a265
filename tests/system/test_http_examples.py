"""The programs in examples/http and the notebook do what they say, against a running gateway."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
import pytest

from cwt_schemas.access import Role
from tests.deadlines import fail_after
from tests.system.command import run_program
from tests.system.gateway import gateway_of
from tests.system.test_keys import client_of, keyed_gateway, new_key
from tests.system.toolchains import ROOT, needs

pytestmark = [pytest.mark.anyio, pytest.mark.system]

EXAMPLES = ROOT / "examples/http"


@dataclass(frozen=True)
class Served:
    """A gateway that needs a key, and one of the same system that does not."""

    keyed: str
    key: str
    open: str


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The gateways of a system for all of them."""
    folder = tmp_path_factory.mktemp("system")
    async with keyed_gateway(folder) as (_server, system, gateway):
        key = await new_key(system, "operator", Role.OPERATOR)
        async with client_of(gateway, key):
            pass  # the gateway has read the key
        del system.environment["CWT_HTTP_USERS"]
        yield Served(keyed=gateway.url, key=key, open=(await gateway_of(system, "open")).url)


@pytest.fixture
def gateway(served: Served, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the gateway that needs a key, which is in the environment."""
    monkeypatch.setenv("CWT_KEY", served.key)
    return served.keyed


async def run(*words: str) -> str:
    with fail_after(60):
        done = await anyio.run_process(words, check=False, cwd=EXAMPLES)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return done.stdout.decode()


def finds_the_tone(said: str) -> bool:
    """Whether the strongest row that exceeds its level is near 5 Hz."""
    rows = re.findall(r"^([0-9.]+) Hz: ([0-9.]+) > [0-9.]+$", said, re.MULTILINE)
    strongest = max(rows, key=lambda row: float(row[1]))
    return float(strongest[0]) == pytest.approx(5, rel=0.2)


async def test_python_finds_the_tone(gateway: str) -> None:
    assert finds_the_tone(await run_program(str(EXAMPLES / "ask.py"), gateway))


async def test_a_gateway_without_keys_needs_none(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CWT_KEY", raising=False)
    assert finds_the_tone(await run_program(str(EXAMPLES / "ask.py"), served.open))


@needs("node")
async def test_javascript_finds_the_tone(gateway: str) -> None:
    assert finds_the_tone(await run("node", "ask.mjs", gateway))


@needs("node")
async def test_javascript_follows_a_stream(gateway: str, tmp_path: Path) -> None:
    async with httpx.AsyncClient() as http:
        client = await http.get(f"{gateway}/static/pycwt-client.js")
    (tmp_path / "pycwt-client.mjs").write_bytes(client.content)
    example = str(shutil.copy(EXAMPLES / "follow.mjs", tmp_path))
    has_sockets = await run("node", "-p", "typeof WebSocket === 'function'")
    options = () if has_sockets == "true\n" else ("--experimental-websocket",)

    said = await run("node", *options, example, gateway)

    values = re.findall(r"^[0-9.]+ s: coherence at 10.0 Hz ([0-9.]+)$", said, re.MULTILINE)
    assert len(values) >= 10
    assert min(map(float, values)) > 0.8


async def test_a_recording_is_analysed_saved_and_removed(gateway: str, tmp_path: Path) -> None:
    said = await run_program(str(EXAMPLES / "recording.py"), str(tmp_path / "a.npz"), gateway)

    (found,) = re.findall(r"^most coherent at ([0-9.]+) Hz$", said, re.MULTILINE)
    assert float(found) == pytest.approx(5, rel=0.2)
    assert re.search(r"^removed [1-9][0-9]* results$", said, re.MULTILINE)
    async with httpx.AsyncClient(base_url=gateway) as http:
        streams = await http.get("/api/v1/streams", headers={"X-API-Key": os.environ["CWT_KEY"]})
        assert streams.json()["streams"] == []


@needs("octave-cli", "curl")
async def test_octave_finds_the_tone(gateway: str) -> None:
    assert finds_the_tone(await run("octave-cli", "ask.m", gateway))


@needs("Rscript")
async def test_r_finds_the_tone(gateway: str) -> None:
    packages = await run("Rscript", "-e", "cat(rownames(installed.packages()))")
    if "httr" not in packages.split():
        pytest.skip("not installed: the R package httr")
    assert finds_the_tone(await run("Rscript", "ask.R", gateway))


@needs("curl")
async def test_curl_gets_health_a_transform_a_refusal_and_the_result_of_a_job(gateway: str) -> None:
    said = await run("sh", "ask.sh", gateway)

    assert '"status":"healthy"' in said
    assert '{"wave":[[[' in said
    assert '"fields":{"dt":' in said
    assert "event: end" in said
    assert '"status":"done"' in said


async def test_a_live_signal_is_coherent_at_its_rhythm(gateway: str) -> None:
    said = await run_program(str(EXAMPLES / "live.py"), gateway.replace("http", "ws", 1))

    values = [
        float(text)
        for text in re.findall(r"coherence at [0-9.]+ Hz ([0-9.]+)$", said, re.MULTILINE)
    ]
    assert len(values) > 5
    assert sorted(values)[len(values) // 2] > 0.5


async def test_the_notebook_runs(served: Served, tmp_path: Path) -> None:
    notebook = json.loads((ROOT / "examples/tour.ipynb").read_bytes())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells), "clear the outputs before the commit"
    program = tmp_path / "tour.py"
    program.write_text("\n\n".join("".join(cell["source"]) for cell in cells))

    own = {"CWT_HTTP_URL": served.open, "MPLBACKEND": "agg"}
    said = await run_program(str(program), variables=own)

    assert "library and service agree" in said
    assert "with the rhythm" in said
