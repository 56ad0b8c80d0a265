"""Jobs on a terminal: a bar that moves, a table, a line for each result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli.answer_text import glance
from pycwt_client import TaskResult
from schemas.job import JobProgress, JobState

__all__ = ["jobs_table", "result_line", "show_progress", "state_lines"]

#: Of the failed tasks that a status lists; all are in `job results`.
LISTED_FAILURES = 20


async def show_progress(news: AsyncIterator[JobProgress], console: Console) -> None:
    """Show how far a job is until it has ended: a bar, or lines where there is no terminal."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[failed]}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None, failed="")
        async for each in news:
            failed = f"{each.failed} failed" if each.failed else ""
            bar.update(
                task,
                description=f"{each.job_id} {each.status}",
                total=each.tasks_count,
                completed=each.done + each.failed,
                failed=failed,
            )
            if not console.is_terminal:
                line = f"{each.job_id} {each.status}: {each.done} of {each.tasks_count} done"
                console.print(", ".join(filter(None, (line, failed))), markup=False)


def state_lines(state: JobState) -> list[str]:
    """Return how a job stands, with what failed."""
    named = f" ({state.name})" if state.name else ""
    lines = [
        f"{state.job_id}{named}: {state.status}, {state.progress:.0f} %",
        f"{state.done} of {state.tasks_count} tasks done, {state.failed} failed",
    ]
    failures = [each for each in state.results if each.status == "failed"]
    lines += [f"task {each.task_id}: {each.error}" for each in failures[:LISTED_FAILURES]]
    if len(failures) > LISTED_FAILURES:
        lines.append(f"and {len(failures) - LISTED_FAILURES} more that failed")
    return lines


def jobs_table(jobs: Sequence[JobState]) -> Table:
    """Return one line per job."""
    table = Table(show_edge=False)
    for heading in ("job", "name", "status", "done", "failed", "of", "submitted"):
        right = heading in {"done", "failed", "of"}
        table.add_column(heading, justify="right" if right else "left")
    for each in jobs:
        submitted = datetime.fromtimestamp(each.created_ns / 1e9, UTC)
        table.add_row(
            each.job_id, each.name or "", each.status, str(each.done), str(each.failed),
            str(each.tasks_count), f"{submitted:%Y-%m-%d %H:%M:%S} UTC",
        )  # fmt: skip
    return table


def result_line(result: TaskResult) -> str:
    """Return what came of a task at a glance."""
    if result.answer is None:
        return f"{result.index}: failed: {result.error}"
    return f"{result.index}: {glance(result.answer)}"
