"""Every benchmark runs, with little data; nothing is said about its times."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import jobs
from benchmarks.__main__ import main

SECTIONS = (
    "cwt at full rate, n=600, 12 voices, all octaves, 1 thread, float32",
    "cwt at full rate, n=600, 12 voices, all octaves, 1 thread, float64",
    "multirate, n=600",
    "floor:",
    "multirate, cost with length",
    "wct without significance, n=300",
    "wct_significance, n=70",
    "instant level",
    "decode a JSON request of 100 samples",
    "encode a window of 100 x 2 float32 as msgpack",
    "decode a window of 100 x 2 float32 from msgpack",
    "publish 0.04 million samples (200 channels",
    "system: 30 s of recording",
)


@pytest.mark.system
def test_quick_run_measures_everything_and_writes_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "page.md"
    main(["--quick", "--output", str(output)])
    text = output.read_text()
    printed = capsys.readouterr().out
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    for section in SECTIONS:
        assert any(heading.startswith(f"## {section}") for heading in headings), section
    assert "| numpy |" in text
    assert "largest standard error" in text
    assert "x real time" in printed


@pytest.mark.system
def test_quick_run_of_jobs_says_how_much_of_the_time_is_the_librarys(tmp_path: Path) -> None:
    output = tmp_path / "page.md"
    jobs.main(["--quick", "--output", str(output)])
    text = output.read_text()
    assert "## 6 tasks: wct of 100 samples with the level of 10 pairs" in text
    assert text.count("of the cores' time is the library's") == 2
