"""Show jobs on a terminal: a progress bar, a list, and one line per result."""

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

#: Number of failed tasks that a status lists; `job results` lists all.
LISTED_FAILURES = 20
#: Width of a terminal from which a bar fits next to the numbers, an id of 20 characters and the
#: remaining time.
BAR_FROM_WIDTH = 72


async def show_progress(news: AsyncIterator[JobProgress], console: Console) -> None:
    """Show the progress of a job until it ends: a bar on a terminal, lines in other outputs."""
    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
    if console.width >= BAR_FROM_WIDTH:
        columns += [BarColumn(None), TimeRemainingColumn()]
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        async for each in news:
            ended = each.done + each.failed
            failed = f", {each.failed} failed" if each.failed else ""
            # The numbers come first, because a narrow terminal truncates the end.
            label = f"{ended}/{each.tasks_count}{failed} {each.job_id} {each.status}"
            bar.update(task, description=label, total=each.tasks_count, completed=ended)
            if not console.is_terminal:
                line = f"{each.job_id} {each.status}: {each.done} of {each.tasks_count} done"
                console.print(line + failed, markup=False)


def state_lines(state: JobState) -> list[str]:
    """Format the state of a job and its failed tasks."""
    named = f" ({_shown(state.name)})" if state.name else ""
    # Round down, so that 100 % means that every task is done.
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
    """Format jobs as a table with a heading and one line per job."""
    rows = [("job", "status", "done", "failed", "of", "submitted", "by", "name")]
    for each in jobs:
        submitted = datetime.fromtimestamp(each.created_ns / 1e9, UTC)
        numbers = (str(each.done), str(each.failed), str(each.tasks_count))
        when = f"{submitted:%Y-%m-%dT%H:%M:%SZ}"
        names = (_shown(each.submitted_by or "-"), _shown(each.name or ""))
        rows.append((each.job_id, each.status.value, *numbers, when, *names))
    return column_lines(rows)


def _shown(name: str) -> str:
    """Return a user-supplied name on one line, without control characters."""
    return " ".join("".join(each if each.isprintable() else " " for each in name).split())


def result_line(result: TaskResult) -> str:
    """Summarize the outcome of a task in one line."""
    if result.answer is None:
        return f"{result.index}: failed: {result.error}"
    return f"{result.index}: {glance(result.answer)}"
