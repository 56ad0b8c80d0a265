"""The programs in examples/ do what they say, against the running system."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import numpy as np
import pytest

from cwt_cli.samples import RECORDING
from cwt_schemas.stream import StreamLag
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.system.command import run as command
from tests.system.command import run_program as run
from tests.system.conftest import POLL_S, RunningSystem

FS_HZ = 125
HEADER_LINES = 3

pytestmark = [pytest.mark.anyio, pytest.mark.system]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two minutes of the recording that is shipped."""
    path, lines = tmp_path / "recording.csv", gzip.decompress(RECORDING.read_bytes()).split(b"\n")
    path.write_bytes(b"\n".join(lines[: HEADER_LINES + 120 * FS_HZ]))
    return path


async def test_a_device_with_nothing_but_a_socket_is_analysed(system: RunningSystem) -> None:
    server = urlsplit(system.url)
    said = await run("examples/device.py", str(server.hostname), str(server.port))
    assert said.count("'stream': 'CWT_SIGNALS'") == 20
    async with Client(system.bus).results("bench") as results:
        with fail_after(30):
            while (result := await anext(results)).octave != 1:  # 4 to 8 Hz
                pass
    middle = result.values[:, result.t.n // 2]
    assert result.freqs_hz[middle.argmax()] == pytest.approx(5, rel=0.05)
    again = await run("examples/device.py", str(server.hostname), str(server.port))
    assert again.count("'stream': 'CWT_SIGNALS'") == 20
    await taken_once(system, int(re.findall(r"'seq': (\d+)", again)[-1]))


async def taken_once(system: RunningSystem, last_seq: int) -> None:
    """Return when ingest has read the device's second run; it took the samples of the first."""
    client = Client(system.bus)
    with fail_after(30):
        while (status := await client.get_stream("bench")).last_seq != last_seq:  # noqa: ASYNC110 - another process
            await anyio.sleep(POLL_S)
    assert status.next_sample == 1000


async def test_a_program_defines_publishes_and_watches(system: RunningSystem) -> None:
    said = await run("examples/define_and_watch.py", system.url)
    lines = said.splitlines()
    assert len(lines) == 20
    near = [line for line in lines if "octave 0" in line]
    assert near
    assert all("left leads by" in line for line in near)


async def test_a_notebook_asks_streams_and_finds_its_chirp(system: RunningSystem) -> None:
    said = await run("examples/notebook.py", system.url)
    first, *found = said.splitlines()
    assert first == "transform of 2000 samples at 121 scales"
    assert len(found) == 7
    for line in found:
        _, _, near, _, _, true, _ = line.split()
        assert float(near) == pytest.approx(float(true), rel=0.06), line  # a voice is 6 %


async def test_a_result_is_computed_again_from_the_log(
    system: RunningSystem, recording: Path
) -> None:
    words = ("--stream", "again", "--coherence", "abp_mmHg,ecg_mV", "--band", "0.5,8")
    await command("publish", str(recording), *words, "--speed", "0", url=system.url)
    said = await run("examples/recompute.py", "again", system.url)
    result, found = said.splitlines()
    assert result.startswith("again/")
    assert found == "values differ by at most 0, masks are equal, thresholds differ by at most 0"
    named = result.partition(":")[0]
    assert await run("examples/recompute.py", "again", "--result", named, system.url) == said


async def test_a_loop_triggers_at_a_phase_of_the_heart_rhythm() -> None:
    said = await run("examples/phase_trigger.py")
    count, error = re.findall(r"^(\d+) triggers|errors are below ([\d.]+) rad", said, re.MULTILINE)
    assert int(count[0]) > 450  # two a second
    assert float(error[1]) < 0.12


async def test_breathing_is_taken_out_of_what_pressure_and_ecg_share() -> None:
    said = await run("examples/partial_coherence.py")
    r2 = [float(each) for each in re.findall(r"R² ([\d.]+)", said)]
    (both, given, all_of_it), heart = r2[:3], r2[3:]
    assert given < 0.7 * both  # the level of noise is left
    assert all_of_it > 0.95
    assert min(heart) > 0.95


async def test_a_stream_is_exported_by_the_command_and_by_a_program(
    system: RunningSystem, recording: Path, tmp_path: Path
) -> None:
    words = ("--stream", "whole", "--coherence", "abp_mmHg,ecg_mV", "--band", "0.5,8")
    await command("publish", str(recording), *words, "--speed", "0", url=system.url)
    await all_computed(Client(system.bus), "whole")
    archive, table, picture = (tmp_path / f"whole.{end}" for end in ("npz", "csv", "png"))
    words = ("--npz", str(archive), "--csv", str(table), "--plot", str(picture))
    said = await command("export", "whole", *words, "--step", "1", url=system.url)
    assert "coherence of abp_mmHg,ecg_mV" in said
    assert "not computed yet" not in said
    assert picture.read_bytes().startswith(b"\x89PNG")
    with np.load(archive) as saved:
        shape = saved["values"].shape
        assert str(saved["units"][0]) == "1"
    assert table.read_text().count("\nabp") == 0  # the label has a comma, so it is quoted
    assert table.read_text().count('\n"abp_mmHg,ecg_mV",') == shape[1] * shape[2]
    said = await run("examples/export_stream.py", "whole", str(tmp_path / "w.nc"), system.url)
    assert f"{shape[1]} frequencies" in said
    assert "--npz" in await command("export", "whole", code=2, url=system.url)
    said = await command("export", "none", "--npz", str(archive), code=1, url=system.url)
    assert "none has no results, and there is no such stream" in said


async def all_computed(client: Client, stream: str) -> None:
    """Wait until every window of a stream whose epoch has ended has its results."""
    with fail_after(60):
        while True:
            status = await client.get_stream(stream)
            # Ingest counts windows until it has seen them completed, as the export does.
            if status.windows and status.lag == StreamLag():
                return
            await anyio.sleep(0.1)


async def test_an_amplifier_on_the_network_is_coherent_while_its_rhythm_lasts(
    system: RunningSystem,
) -> None:
    """The rhythm is there for five of every ten seconds; the reader connects at any moment."""
    name = f"amplifier-{os.getpid()}"
    said = ""

    async def coherence(scope: anyio.CancelScope) -> None:
        nonlocal said
        said = await run("examples/lsl_coherence.py", name, system.url)
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, "examples/lsl_amplifier.py", name)
        tasks.start_soon(coherence, tasks.cancel_scope)
    shares = [int(each) for each in re.findall(r"(\d+) % of it above", said)]
    assert max(shares) > 80, said
    assert min(shares) < 50, said
