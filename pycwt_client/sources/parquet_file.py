"""Parquet files: numeric columns, optionally with a column or an index of times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pycwt_client.signals import Samples
from pycwt_client.sources.channels import channels_of, legal_names
from pycwt_client.sources.file_source import ChannelFileSource
from pycwt_client.sources.source import (
    MissingDriverError,
    Recorded,
    SourceError,
    places_of,
)
from pycwt_client.sources.tables import (
    TableOptions,
    recorded_table,
    seconds_of,
    stated_rate,
    time_name,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetSource"]


class ParquetSource(ChannelFileSource):
    """A Parquet file; null is a missing sample.

    Times are the first column of timestamps, such as the index of a data frame, or of numbers named
    ``time``, ``t``, ``time_ms`` and the like. The rate is ``fs_hz`` or ``fs`` in the metadata of
    the file, or else is measured by the times. Columns that are not numeric are omitted.

    Parameters
    ----------
    channels
        Columns to read; None reads all numeric ones.
    """

    def _read(self) -> Recorded:
        return _opened(self._path, self._channels, self._options)


def _opened(path: Path, channels: tuple[str, ...] | None, options: TableOptions) -> Recorded:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingDriverError("a Parquet file", "parquet") from None
    try:
        table = parquet.read_table(path)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from None
    except (pa.ArrowException, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise SourceError(f"cannot read {path} as Parquet: {reason}") from None
    fields = list(table.schema)
    stamp = next((f.name for f in fields if pa.types.is_timestamp(f.type)), None) or next(
        (f.name for f in fields if time_name(f.name)[0] and _is_number(pa, f.type)), None
    )
    labels = [f.name for f in fields if _is_number(pa, f.type) and f.name != stamp]
    names = legal_names(labels)
    chosen = places_of(names if channels is None else channels, names, path.name)
    if not chosen:
        raise SourceError(f"{path} has no columns of numbers, only {', '.join(table.column_names)}")
    columns = [_numbers(table.column(labels[at])) for at in chosen]
    samples: Samples = np.stack(columns, axis=1)
    metadata = {
        key.decode(): value.decode()
        for key, value in (table.schema.metadata or {}).items()
        if key != b"pandas"
    }
    times_s, t0_ns = (None, None) if stamp is None else _times(path, stamp, table.column(stamp))
    return recorded_table(
        path,
        channels_of([labels[at] for at in chosen], [None] * len(chosen)),
        samples,
        options,
        stated_fs_hz=stated_rate(metadata),
        times_s=times_s,
        t0_ns=t0_ns,
    )


def _is_number(pa: Any, kind: Any) -> bool:  # noqa: ANN401 - the driver has no types
    return bool(
        pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    )


def _numbers(column: pa.ChunkedArray) -> NDArray[Any]:
    values: NDArray[Any] = column.to_numpy()  # null is NaN
    return values.astype(np.float64) if values.dtype.kind in "bO" else values


def _times(
    path: Path, name: str, column: pa.ChunkedArray
) -> tuple[NDArray[np.float64], int | None]:
    times = column.to_numpy()
    if column.null_count:
        raise SourceError(f"{path}: {name} has {column.null_count} missing times")
    if times.dtype.kind == "f" and not np.isfinite(times).all():
        raise SourceError(f"{path}: {name} has times that are not numbers")
    if times.dtype.kind == "M":
        return seconds_of(times.astype("<M8[ns]").astype(np.int64), 1e-9)
    return seconds_of(times, time_name(name)[1])
