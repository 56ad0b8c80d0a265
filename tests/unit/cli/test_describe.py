"""`describe` shows what a file has, and a command that publishes it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cwt_cli.__main__ import app
from cwt_cli.faults import USAGE
from cwt_cli.publish import parse_analyses
from tests.unit.client.sources.test_files import write_edf
from tests.unit.client.sources.test_incomplete import RECORDINGS


def described(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["describe", *map(str, arguments)])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def suggested(text: str) -> list[list[str]]:
    return [shlex.split(line) for line in re.findall("^to publish: (.*)$", text, re.MULTILINE)]


def test_a_real_recording_with_a_wrong_rate_and_without_its_end() -> None:
    text = described(RECORDINGS / "clock_resets_cut.xdf")
    assert "100 Hz, 93.42 Hz measured" in text
    assert "31 events\n  at 2.65 s: XXX" in text
    assert "warning: clock_resets_cut.xdf ends in the middle of a chunk" in text
    [command] = suggested(text)
    assert command[command.index("--fs") + 1] == "measured"
    assert command[command.index("--coherence") + 1] == "ch1,ch2"


def test_a_trigger_channel_is_flat_and_the_others_have_their_units() -> None:
    text = described(RECORDINGS / "bdf_stim_channel.bdf")
    assert "recorded from 2015-03-19 08:04:01 UTC" in text
    assert re.search(r"^Status +uV .* 89 %", text, re.MULTILINE)
    assert re.search(r"^C3 +uV +8856\.4 +9172 ", text, re.MULTILINE)


def test_the_parts_of_a_file_with_several_rates_are_described_one_by_one(tmp_path: Path) -> None:
    t = np.arange(1000) / 100
    signals = [("C3", 100.0, np.sin(t)), ("C4", 100.0, np.cos(t)), ("Temp", 1.0, np.arange(10.0))]
    write_edf(tmp_path / "a night.edf", signals)
    text = described(tmp_path / "a night.edf")
    assert "several rates" in text
    eeg, temperature = suggested(text)
    assert eeg[eeg.index("--channels") + 1] == "C3,C4"
    assert eeg[eeg.index("--stream") + 1] == "a-night"
    assert str(tmp_path / "a night.edf") in eeg
    assert temperature[temperature.index("--power") + 1] == "Temp"


def test_what_is_suggested_leaves_out_columns_without_a_signal(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = (f"{at / 100},rest,,5,{rng.normal():.3f},{rng.normal():.3f}" for at in range(1000))
    lines = ["# fs_hz=100", "time,note,gone,dead,c3,c4", *rows]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    text = described(tmp_path / "a.csv")
    assert "'rest' in the column note is not a number" in text
    assert re.search(r"^gone .* all", text, re.MULTILINE)
    assert re.search(r"^dead .* all", text, re.MULTILINE)
    [command] = suggested(text)
    assert command[command.index("--channels") + 1] == "time,gone,dead,c3,c4"
    options = {word: command[at + 1] for at, word in enumerate(command) if word.startswith("--")}
    analyses = parse_analyses(None, [options["--coherence"]], options["--band"])
    assert analyses is not None
    assert analyses.coherence == (("c3", "c4"),)
    assert 0 < analyses.fmin_hz < analyses.fmax_hz <= 25


def test_numbers_are_shown_whole_however_narrow_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    values = (f"{-2.594e5 + at % 7:.1f},{at}" for at in range(100))
    (tmp_path / "a.csv").write_text("\n".join(["# fs_hz=10", f"{'x' * 60},y", *values]))
    line = next(line for line in described(tmp_path / "a.csv").splitlines() if "xxx" in line)
    assert line.split()[1:4] == ["-2.594e+05", "-2.5939e+05", "-2.594e+05"]


@pytest.mark.parametrize("name", ["none.csv", "annotations_only.edf"])
def test_what_cannot_be_read_ends_with_one_sentence(name: str) -> None:
    result = CliRunner().invoke(app, ["describe", str(RECORDINGS / name)])
    assert result.exit_code == USAGE
    assert name in result.stderr
    assert "Traceback" not in result.stderr
