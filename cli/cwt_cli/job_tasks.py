"""Create the tasks of a job from files: one task per column, or per pair of columns."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Literal

import orjson

from cwt_cli.faults import USAGE, CommandError
from cwt_cli.recordings import read_named, short_name
from pycwt_client.sources.whole import Whole

__all__ = ["read_tasks", "tasks_of_files"]

Task = Mapping[str, Any]
Transform = Literal["cwt", "xwt", "wct"]


async def tasks_of_files(
    op: Transform,
    files: list[str],
    channels: str | None,
    fs_hz: float | None,
    options: Mapping[str, Any],
    *,
    resample_hz: float | None = None,
) -> tuple[list[str], list[Task]]:
    """Return a label for each task, and the tasks.

    Raises
    ------
    CommandError
        A file has too few channels.
    SourceError
        A file cannot be read, or does not state its rate.
    """
    labels: list[str] = []
    tasks: list[Task] = []
    for file in files:
        recording = await read_named(file, channels, fs_hz, resample_hz)
        for label, signals in _signals(op, file, recording):
            labels.append(f"{short_name(file)}: {label}")
            tasks.append({"type": op, "dt": 1 / recording.info.fs_hz, **signals, **options})
    return labels, tasks


def _signals(op: Transform, file: str, recording: Whole) -> list[tuple[str, dict[str, Any]]]:
    names = recording.info.channel_names
    columns = {name: recording.samples[:, place] for place, name in enumerate(names)}
    if op == "cwt":
        return [(name, {"data": signal}) for name, signal in columns.items()]
    if len(columns) < 2:
        raise CommandError(
            f"cannot compute {op}: {file} has one channel, and two are needed", USAGE
        )
    return [
        (f"{one} with {other}", {"signal1": columns[one], "signal2": columns[other]})
        for one, other in itertools.combinations(columns, 2)
    ]


def read_tasks(body: bytes, name: str) -> list[Task]:
    """Parse the tasks in a JSON document: a list, or an object with ``tasks``.

    Raises
    ------
    CommandError
        The document has another form. Tasks are validated by the workers.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"{name} is not valid JSON: {error}", USAGE) from None
    tasks = document.get("tasks") if isinstance(document, dict) else document
    if not isinstance(tasks, list) or not all(isinstance(each, dict) for each in tasks):
        raise CommandError(
            f"{name} must be a list of tasks, or an object with the field tasks", USAGE
        )
    return tasks
