"""NumPy files: one array, or an archive of arrays with their rate, names and times."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycwt_client.signals import Samples
from pycwt_client.sources.channels import channels_of
from pycwt_client.sources.file_source import FileSource
from pycwt_client.sources.source import Recorded, SourceError
from pycwt_client.sources.tables import (
    TableOptions,
    recorded_table,
    seconds_of,
    stated_rate,
    time_name,
)

__all__ = ["NumpySource"]

MAGIC = b"\x93NUMPY"
#: Names in an archive of the arrays with names and units of channels.
CHANNEL_NAMES = ("channels", "channel_names", "ch_names", "names", "labels")
UNIT_NAMES = ("units", "channel_units")


class NumpySource(FileSource):
    """A ``.npy`` file, (time,) or (time, channel), or a ``.npz`` archive.

    In an archive, the array with two axes has the samples. Otherwise each array of the same length
    is a channel, except those named ``time``, ``t``, ``timestamps`` and the like, which are times
    in seconds (``time_ms``: milliseconds) or datetime64. ``fs`` or ``fs_hz`` is the rate,
    ``channels`` or ``ch_names`` are names, ``units`` are units. Pickled objects are rejected.
    """

    def _read(self) -> Recorded:
        return _opened(self._path, self._options)


def _opened(path: Path, options: TableOptions) -> Recorded:
    try:
        with path.open("rb") as file:
            if zipfile.is_zipfile(file):
                # Given a path, NumPy would leave a damaged file open.
                with np.load(file, allow_pickle=False) as archive:
                    arrays = {name: archive[name] for name in archive.files}
                return _of_archive(path, arrays, options)
            file.seek(0)
            if file.read(len(MAGIC)) != MAGIC:
                raise SourceError(f"{path} is not a NumPy file, or is truncated")
        return _of_array(path, np.load(path, mmap_mode="r", allow_pickle=False), options)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from None
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever its parser meets in a broken file
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise SourceError(f"cannot read {path} as a NumPy file: {reason}") from None


def _of_array(path: Path, array: NDArray[Any], options: TableOptions) -> Recorded:
    samples = _samples(path, "the array", array)
    labels = [""] * samples.shape[1]
    return recorded_table(path, channels_of(labels, [None] * len(labels)), samples, options)


def _of_archive(path: Path, arrays: Mapping[str, NDArray[Any]], options: TableOptions) -> Recorded:
    labels = _texts(arrays, CHANNEL_NAMES)
    units = _texts(arrays, UNIT_NAMES)
    times = {name: each for name, each in arrays.items() if time_name(name)[0] and each.ndim == 1}
    numbers = {
        name: each
        for name, each in arrays.items()
        if name not in times and each.dtype.kind in "iufb" and each.ndim in (1, 2) and each.size
    }
    tables = {name: each for name, each in numbers.items() if each.ndim == 2}
    if len(tables) > 1:
        raise SourceError(f"{path} has several tables: {', '.join(tables)}; one is expected")
    if tables:
        ((name, table),) = tables.items()
        samples = _samples(path, name, table)
        labels = labels or [""] * samples.shape[1]
    else:
        longest = max(map(len, numbers.values()), default=0)
        columns = {name: each for name, each in numbers.items() if len(each) == longest > 1}
        if not columns:
            raise SourceError(f"{path} has no array of numbers with one or two axes")
        samples = _without_bool(np.stack(list(columns.values()), axis=1))
        labels = list(columns)
    units = units or [""] * len(labels)
    if not len(labels) == len(units) == samples.shape[1]:
        raise SourceError(
            f"{path} has {len(labels)} names and {len(units)} units for {samples.shape[1]} channels"
        )
    stamps = next((each for each in times.items() if len(each[1]) == len(samples)), None)
    times_s, t0_ns = (None, None) if stamps is None else _times(path, *stamps)
    return recorded_table(
        path, channels_of(labels, units), samples, options,
        stated_fs_hz=stated_rate(arrays), times_s=times_s, t0_ns=t0_ns,
    )  # fmt: skip


def _texts(arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> list[str]:
    found = next((arrays[name] for name in names if name in arrays), None)
    if found is None or found.dtype.kind not in "US" or found.ndim != 1:
        return []
    return [str(each) for each in found.astype(str)]


def _times(path: Path, name: str, times: NDArray[Any]) -> tuple[NDArray[np.float64], int | None]:
    if times.dtype.kind == "M":
        if np.isnat(times).any():
            raise SourceError(f"{path}: {name} has missing times")
        return seconds_of(times.astype("<M8[ns]").astype(np.int64), 1e-9)
    if times.dtype.kind not in "iuf" or not np.isfinite(times).all():
        raise SourceError(f"{path}: {name} is not a column of times")
    unit_s = time_name(name)[1]
    if times.dtype.kind == "f":
        return seconds_of(times.astype(np.float64), unit_s)
    return seconds_of(times.astype(np.int64), unit_s)


def _samples(path: Path, name: str, array: NDArray[Any]) -> Samples:
    if array.dtype.kind not in "iufb" or array.ndim not in (1, 2) or array.size == 0:
        raise SourceError(
            f"{path}: {name} has the shape {array.shape} and the type {array.dtype}; numbers with "
            "the axes (time,) or (time, channel) are expected"
        )
    return _without_bool(array[:, None] if array.ndim == 1 else array)


def _without_bool(table: NDArray[Any]) -> Samples:
    return table.astype("<i2") if table.dtype.kind == "b" else table
