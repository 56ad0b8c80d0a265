"""From files to the tasks of a job: every column by itself, or every two of a file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import orjson

from cwt_cli.faults import USAGE, CommandError
from pycwt_client.sources.csv_file import Recording, read_recording

__all__ = ["read_tasks", "tasks_of_files"]

Task = Mapping[str, Any]
Transform = Literal["cwt", "xwt", "wct"]


def tasks_of_files(
    op: Transform,
    files: list[Path],
    columns: str | None,
    fs_hz: float | None,
    options: Mapping[str, Any],
) -> tuple[list[str], list[Task]]:
    """Return what each task is of, and the tasks.

    Raises
    ------
    CommandError
        A file cannot be read, does not say its rate, or has too few columns.
    """
    labels: list[str] = []
    tasks: list[Task] = []
    for path in files:
        recording = read_recording(path)
        if columns is not None:
            recording = recording.selected(tuple(name.strip() for name in columns.split(",")))
        rate = fs_hz or recording.fs_hz
        if rate is None:
            raise CommandError(f"{path} does not say its sampling rate: give it with --fs", USAGE)
        for label, signals in _signals(op, path, recording):
            labels.append(f"{path.name}: {label}")
            tasks.append({"type": op, "dt": 1 / rate, **signals, **options})
    return labels, tasks


def _signals(op: Transform, path: Path, recording: Recording) -> list[tuple[str, dict[str, Any]]]:
    columns = {name: recording.samples[:, i] for i, name in enumerate(recording.columns)}
    if op == "cwt":
        return [(name, {"data": signal}) for name, signal in columns.items()]
    if len(columns) < 2:
        raise CommandError(f"{path} has one column, {op} is of two", USAGE)
    return [
        (f"{one} with {other}", {"signal1": columns[one], "signal2": columns[other]})
        for one, other in itertools.combinations(columns, 2)
    ]


def read_tasks(body: bytes, name: str) -> list[Task]:
    """Return the tasks in a JSON document: a list, or an object with ``tasks``.

    Raises
    ------
    CommandError
        It is no such document; what is wrong with a task is the workers' to say.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"{name} is no JSON: {error}", USAGE) from None
    tasks = document.get("tasks") if isinstance(document, dict) else document
    if not isinstance(tasks, list) or not all(isinstance(each, dict) for each in tasks):
        raise CommandError(f"{name} has to be a list of tasks, or an object with tasks", USAGE)
    return tasks
