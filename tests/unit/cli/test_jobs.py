"""Jobs at the terminal: from files to tasks, and what is said of them."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from cwt_cli.faults import CommandError
from cwt_cli.job_display import job_lines, result_line, show_progress, state_lines
from cwt_cli.job_tasks import read_tasks, tasks_of_files
from cwt_schemas.errors import Unprocessable
from cwt_schemas.job import JobProgress, JobState, JobStatus, TaskState
from cwt_schemas.query import SignificanceReply
from pycwt_client import TaskResult
from pycwt_client.sources import SourceError
from tests.text import numbers

pytestmark = pytest.mark.anyio


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "r.csv"
    path.write_text("# fs_hz=10\na,b,c\n" + "\n".join(f"{i},{i % 3},{-i}" for i in range(20)))
    return path


async def test_a_transform_is_of_each_column_and_a_coherence_of_each_two(recording: Path) -> None:
    name = str(recording)
    labels, tasks = await tasks_of_files("cwt", [name], None, None, {"dj": 0.5})
    assert labels == ["r.csv: a", "r.csv: b", "r.csv: c"]
    assert (tasks[1]["type"], tasks[1]["dt"], tasks[1]["dj"]) == ("cwt", 0.1, 0.5)
    np.testing.assert_array_equal(tasks[1]["data"], np.arange(20) % 3)
    labels, tasks = await tasks_of_files("wct", [f"csv:{name}", name], "a,c", 5, {})
    assert labels == ["r.csv: a with c"] * 2
    assert tasks[0]["dt"] == 0.2


async def test_signals_of_a_job_are_resampled(recording: Path) -> None:
    _, tasks = await tasks_of_files("cwt", [str(recording)], "a", None, {}, resample_hz=5)
    assert (tasks[0]["dt"], len(tasks[0]["data"])) == (0.2, 10)


async def test_a_file_without_a_rate_or_a_second_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("a\n1\n2\n")
    with pytest.raises(SourceError, match="--fs"):
        await tasks_of_files("cwt", [str(path)], None, None, {})
    with pytest.raises(CommandError, match="two are needed"):
        await tasks_of_files("wct", [str(path)], None, 1, {})


@pytest.mark.parametrize("body", [b'[{"type": "cwt"}]', b'{"tasks": [{"type": "cwt"}]}'])
def test_tasks_are_read_as_a_list_or_as_a_submission(body: bytes) -> None:
    assert read_tasks(body, "f") == [{"type": "cwt"}]


@pytest.mark.parametrize("body", [b"{", b"3", b'{"task": []}', b"[3]"])
def test_invalid_task_list_error_names_file(body: bytes) -> None:
    with pytest.raises(CommandError, match=r"^f "):
        read_tasks(body, "f")


def state(**changes: Any) -> JobState:
    fields: dict[str, Any] = {
        "job_id": "j", "name": "night", "status": JobStatus.FAILED, "progress": 100.0,
        "tasks_count": 30, "done": 5, "failed": 25, "created_ns": 0,
        "results": tuple(
            TaskState(task_id=str(i), status="failed" if i >= 5 else "done", error="dt: too large")
            for i in range(30)
        ),
    }  # fmt: skip
    return JobState(**{**fields, **changes})


def test_a_status_lists_what_failed_and_why_but_not_without_end() -> None:
    lines = state_lines(state())
    assert re.search(r"\bj\b.*\bnight\b.*\bfailed\b.*\b100 %", lines[0])
    assert [numbers(line)[0] for line in lines if "dt: too large" in line][:2] == ["5", "6"]
    assert numbers(lines[-1]) == ["5"]
    assert len(lines) == 23


def test_a_name_cannot_command_the_terminal_and_999_of_1000_are_not_all() -> None:
    named = state(name="a\x1b[2J\nb", progress=99.9, status=JobStatus.RUNNING)
    assert re.search(r"\(a \[2J b\).*\brunning\b.*\b99 %", state_lines(named)[0])
    assert job_lines([named])[1].endswith("  a [2J b")


def test_jobs_are_listed_one_a_line_with_their_whole_ids() -> None:
    """A table cut ids to what a terminal of 80 columns had room for, also into a pipe."""
    long_id = "j" * 64
    assert job_lines([state(submitted_by="ann"), state(job_id=long_id, name=None)]) == [
        f"{'job':64}  status  done  failed  of  submitted             by   name",
        f"{'j':64}  failed  5     25      30  1970-01-01T00:00:00Z  ann  night",
        f"{long_id}  failed  5     25      30  1970-01-01T00:00:00Z  -",
    ]


@pytest.mark.parametrize("width", [30, 50, 80, 120])
async def test_a_narrow_terminal_shows_the_numbers_whole(width: int) -> None:
    async def news() -> Any:
        yield JobProgress(
            job_id="job-f303cd8562ebd74b", status=JobStatus.RUNNING, progress=98,
            tasks_count=1000, done=978, failed=2, t_ns=0,
        )  # fmt: skip

    console = Console(force_terminal=True, width=width, file=StringIO())
    await show_progress(news(), console)
    assert isinstance(console.file, StringIO)
    last = Text.from_ansi(console.file.getvalue()).plain.rstrip().splitlines()[-1]
    assert last.startswith("980/1000, 2 failed job-f30")
    assert ("\N{BOX DRAWINGS HEAVY HORIZONTAL}" in last) == (width >= 80)


def test_result_is_formatted_as_one_line() -> None:
    signif = np.array([0.5, np.nan, 0.75])
    answer = SignificanceReply(signif=signif, computation_time=1.0)
    done = TaskResult(index=0, answer=answer, error=None, worker="w")
    assert numbers(result_line(done)) == ["0", "3", "0.5", "0.75"]
    wrong = Unprocessable.of({"dt": "is wrong"})
    line = result_line(TaskResult(index=1, answer=None, error=wrong, worker="w"))
    assert numbers(line) == ["1"]
    assert line.endswith("dt: is wrong")


async def test_progress_is_printed_as_lines_without_terminal() -> None:
    async def news() -> Any:
        for done in (0, 2):
            yield JobProgress(
                job_id="j", status=JobStatus.RUNNING, progress=50.0 * done, tasks_count=2,
                done=done, failed=0, t_ns=0,
            )  # fmt: skip

    console = Console(force_terminal=False, record=True)
    await show_progress(news(), console)
    lines = console.export_text().splitlines()
    assert all(re.search(r"^j\b.*\brunning\b", line) for line in lines)
    assert [numbers(line) for line in lines] == [["0", "2"], ["2", "2"]]
