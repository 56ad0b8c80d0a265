"""Every benchmark runs, with little data; nothing is said about its times."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import jobs
from benchmarks.__main__ import main
from benchmarks.transforms import transform_works
from tests.text import numbers

#: What a heading names of what is measured below it.
MEASURED = (
    r"^cwt\b.*n=600\b.*float32", r"^cwt\b.*n=600\b.*float64", r"^multirate\b.*n=600\b",
    r"^wct\b.*n=300\b", r"^wct_significance\b.*n=70\b", r"pairs of 4 channels\b",
    r"JSON.*\b100\b", r"encode.*msgpack",
    r"decode.*msgpack", r"^publish\b", r"^system\b.*\b30 s\b",
)  # fmt: skip
#: The cells of a line: who, the median, and its spread if it was measured more than once.
TIMED = re.compile(r"^\| [^|]+ \| [\d.]+ (?:s|ms|µs) \|", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.system
def test_quick_run_measures_everything_and_writes_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "page.md"
    main(["--quick", "--output", str(output)])
    text = output.read_text()
    _, _machine, versions, *sections = text.split("\n## ")
    headings = [section.partition("\n")[0] for section in sections]
    for measured in MEASURED:
        assert any(re.search(measured, heading) for heading in headings), measured
    assert [section for section in sections if not TIMED.search(section)] == []
    assert "| numpy |" in versions
    assert capsys.readouterr().out


def test_pycwt_has_one_time_in_both_precisions() -> None:
    works = transform_works(100, 1, memory=())
    times = [line.seconds for work in works for line in work.measurements if "pycwt 0" in line.who]
    assert len(times) == len(works) == 4
    assert len(set(times)) == 1


@pytest.mark.slow
@pytest.mark.system
def test_quick_run_of_jobs_says_how_much_of_the_time_is_the_librarys(tmp_path: Path) -> None:
    output = tmp_path / "page.md"
    jobs.main(["--quick", "--output", str(output)])
    (section,) = output.read_text().split("\n## ")[3:]
    assert {"6", "100", "10"} <= set(numbers(section.partition("\n")[0]))
    assert len(TIMED.findall(section)) == 2
