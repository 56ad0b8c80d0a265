"""Jobs on a terminal: a bar that moves, a list, a line for each result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from cwt_cli.answer_text import glance
from cwt_cli.columns import column_lines
from cwt_schemas.job import JobProgress, JobState
from pycwt_client import TaskResult

__all__ = ["job_lines", "result_line", "show_progress", "state_lines"]

#: Of the failed tasks that a status lists; all are in `job results`.
LISTED_FAILURES = 20
#: Columns of a terminal that the numbers, an id of 20 characters, the time left and a bar take.
BAR_FROM_WIDTH = 72


async def show_progress(news: AsyncIterator[JobProgress], console: Console) -> None:
    """Show how far a job is until it has ended: a bar, or lines where there is no terminal."""
    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
    if console.width >= BAR_FROM_WIDTH:
        columns += [BarColumn(None), TimeRemainingColumn()]
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        async for each in news:
            ended = each.done + each.failed
            failed = f", {each.failed} failed" if each.failed else ""
            # The numbers first: a narrow terminal cuts the end.
            told = f"{ended}/{each.tasks_count}{failed} {each.job_id} {each.status}"
            bar.update(task, description=told, total=each.tasks_count, completed=ended)
            if not console.is_terminal:
                line = f"{each.job_id} {each.status}: {each.done} of {each.tasks_count} done"
                console.print(line + failed, markup=False)


def state_lines(state: JobState) -> list[str]:
    """Return how a job stands, with what failed."""
    named = f" ({_shown(state.name)})" if state.name else ""
    # Rounded down: all is done when it says so.
    lines = [
        f"{state.job_id}{named}: {state.status}, {int(state.progress)} %",
        f"{state.done} of {state.tasks_count} tasks done, {state.failed} failed",
    ]
    if state.submitted_by is not None:
        lines.append(f"submitted by {_shown(state.submitted_by)}")
    failures = [each for each in state.results if each.status == "failed"]
    lines += [f"task {each.task_id}: {each.error}" for each in failures[:LISTED_FAILURES]]
    if len(failures) > LISTED_FAILURES:
        lines.append(f"and {len(failures) - LISTED_FAILURES} more failed tasks")
    return lines


def job_lines(jobs: Sequence[JobState]) -> list[str]:
    """Return a heading and one line per job."""
    rows = [("job", "status", "done", "failed", "of", "submitted", "by", "name")]
    for each in jobs:
        submitted = datetime.fromtimestamp(each.created_ns / 1e9, UTC)
        numbers = (str(each.done), str(each.failed), str(each.tasks_count))
        when = f"{submitted:%Y-%m-%dT%H:%M:%SZ}"
        names = (_shown(each.submitted_by or "-"), _shown(each.name or ""))
        rows.append((each.job_id, each.status.value, *numbers, when, *names))
    return column_lines(rows)


def _shown(name: str) -> str:
    """Return what somebody called a job on one line, without codes that a terminal obeys."""
    return " ".join("".join(each if each.isprintable() else " " for each in name).split())


def result_line(result: TaskResult) -> str:
    """Return what came of a task at a glance."""
    if result.answer is None:
        return f"{result.index}: failed: {result.error}"
    return f"{result.index}: {glance(result.answer)}"
