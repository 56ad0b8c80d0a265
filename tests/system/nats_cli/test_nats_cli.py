"""The running system, used with only the NATS command line."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.deadlines import SCALE
from tests.system.conftest import RunningSystem
from tests.system.nats_cli.conftest import NATS

pytestmark = [pytest.mark.anyio, pytest.mark.system]

DEFINITION: dict[str, Any] = {
    "name": "pair",
    "fs_hz": 64,
    "channels": [{"name": "a"}, {"name": "b"}],
    "analyses": [
        {
            "name": "together",
            "op": "wct",
            "pairs": [["a", "b"]],
            "fmin_hz": 2,
            "fmax_hz": 16,
            "hop_s": 1,
            "quantity": "coherence",
        }
    ],
}


def command(system: RunningSystem, *words: str) -> list[str]:
    assert NATS is not None
    return [NATS, "--server", system.url, *words]


def environment(system: RunningSystem) -> dict[str, str]:
    """Use no context of the user, no colours, and a deadline that suits the machine."""
    own = {"XDG_CONFIG_HOME": str(system.folder), "NO_COLOR": "1"}
    return {**os.environ, **own, "NATS_TIMEOUT": f"{5 * SCALE:g}s"}


async def nats(system: RunningSystem, *words: str, body: str | None = None) -> str:
    """Run the command to its end; return its standard output."""
    done = await anyio.run_process(
        command(system, *words),
        input=None if body is None else body.encode(),
        stdin=subprocess.DEVNULL if body is None else None,
        env=environment(system),
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


async def ask(system: RunningSystem, subject: str, body: str = "") -> Any:
    return json.loads(await nats(system, "req", subject, body, "--raw"))


@contextmanager
def subscribed(system: RunningSystem, subject: str, count: int, output: Path) -> Iterator[None]:
    """Run ``nats sub`` until `count` messages came, its output going to a file."""
    words = ("sub", subject, "--count", str(count), "--headers-only")
    with output.open("wb") as file:
        process = subprocess.Popen(
            command(system, *words), stdout=file, stderr=file, env=environment(system)
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


async def until_said(output: anyio.Path, text: str, times: int = 1) -> None:
    said = ""
    with anyio.move_on_after(30):
        while said.count(text) < times:
            await anyio.sleep(0.05)
            said = await output.read_text(errors="replace")
    assert said.count(text) >= times, said


def sine(n: int, phase: float) -> list[float]:
    return [
        round(math.sin(2 * math.pi * 4 * i / 64 + phase) + (i * 7919 % 13) / 13, 4)
        for i in range(n)
    ]


async def test_query_needs_no_flags_and_no_body(system: RunningSystem) -> None:
    health = await ask(system, "cwt.query.health")
    assert health["status"] == "ok"
    assert health["lag"] == 0
    assert '"status":"ok"' in await nats(system, "req", "cwt.query.health", "")
    backends = (await ask(system, "cwt.query.backends"))["backends"]
    assert [each["name"] for each in backends][:2] == ["sequential", "joblib"]


async def test_coherence_request_is_read_from_standard_input(system: RunningSystem) -> None:
    request = {
        "signal1": sine(256, 0.0),
        "signal2": sine(256, -1.0),
        "dt": 1 / 64,
        "seed": 1,
        "mc_count": 20,
    }
    reply = json.loads(
        await nats(system, "req", "cwt.query.wct", "--raw", body=json.dumps(request))
    )
    row = min(range(len(reply["freqs"])), key=lambda i: abs(reply["freqs"][i] - 4))
    assert reply["WCT"][row][128] > 0.9
    assert reply["seed"] == 1
    assert len(reply["signif"]) == len(reply["freqs"])


async def test_a_wrong_field_is_named_in_the_body_and_in_the_headers(system: RunningSystem) -> None:
    wrong = '{"signal1": [1, 2, 3], "signal2": [1, 2], "dt": 1}'
    error = (await ask(system, "cwt.query.wct", wrong))["error"]
    assert error["code"] == "unprocessable"
    assert "signal2" in error["message"]
    done = await anyio.run_process(
        command(system, "req", "cwt.query.wct", wrong), env=environment(system)
    )
    assert b"Nats-Service-Error-Code: 422" in done.stdout + done.stderr


async def test_the_services_are_found_and_described(system: RunningSystem) -> None:
    listed = await nats(system, "micro", "ls")
    assert {name for name in ("ingest", "compute", "hwbridge") if name in listed} == {
        "ingest",
        "compute",
        "hwbridge",
    }
    info = await nats(system, "micro", "info", "compute")
    assert "cwt.query.wct" in info
    assert "schema: query.wct/1" in info
    assert "compute" in await nats(system, "micro", "ping", "compute")
    assert "health" in await nats(system, "micro", "stats", "compute")


async def test_results_are_seen_while_chunks_are_published_with_nothing_but_the_command(
    system: RunningSystem, tmp_path: Path
) -> None:
    status = await ask(system, "cwt.stream.put", json.dumps(DEFINITION))
    assert status["definition"]["name"] == "pair"
    seen = anyio.Path(tmp_path / "sub.txt")
    with subscribed(system, "cwt.result.>", 2, Path(seen)):
        await until_said(seen, "Subscribing on cwt.result.>")
        for first in range(0, 1024, 256):
            chunk = {
                "schema": "signal.chunk/1",
                "epoch": "run1",
                "first_sample": first,
                "samples": [list(row) for row in zip(sine(1024, 0), sine(1024, -1), strict=True)][
                    first : first + 256
                ],
            }
            await nats(system, "pub", "cwt.signal.pair", json.dumps(chunk))
        await until_said(seen, 'Received on "cwt.result.pair.together"', times=2)
    assert "application/msgpack" in await seen.read_text(errors="replace")
    status = await ask(system, "cwt.stream.get", '{"name": "pair"}')
    assert status["next_sample"] == 1024
