"""Write an export as a NumPy archive, text, netCDF or picture.

A file is written next to its destination and then moved there, so it is never incomplete.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cwt_schemas.analysis import COHERENCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pycwt_client.export import Export
    from pycwt_client.placed_markers import PlacedMarker

__all__ = [
    "marker_arrays",
    "write_arrays",
    "write_csv",
    "write_netcdf",
    "write_npz",
    "write_picture",
]

#: Rows of a table to format together.
CSV_ROWS = 65_536
#: Maximum size of a variable in a netCDF file with 64-bit offsets.
NETCDF_BYTES = 2**32 - 4
#: Maximum columns of a picture: twice the pixels of a panel.
PICTURE_COLUMNS = 2000
#: Maximum number of markers with labels in a picture; more would overlap.
MAX_LABELS = 40
#: Maximum length of texts in arrays, where each uses as much memory as the longest.
MAX_ARRAY_TEXT = 256
#: Maximum length of a label.
LABEL_LENGTH = 24
#: Size of a panel, inches.
PANEL = (11.0, 4.2)
NS = 1_000_000_000


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path, which replaces `path` once the file is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_npz(export: Export, path: Path) -> None:
    """Write the arrays under their names in `Export`, without those that are None."""
    arrays: dict[str, NDArray[Any] | None] = {
        name: getattr(export, name)
        for name in (
            "samples", "times_s", "times_ns", "freqs_hz", "scales_s", "values", "phase", "mask",
            "signif",
        )
    }  # fmt: skip
    arrays |= {
        "channels": np.array(export.labels),
        "units": np.array(export.units),
        "provenance": np.array(json.dumps(dict(export.provenance))),
        **marker_arrays(export.markers),
    }
    write_arrays(arrays, path)


def write_arrays(arrays: Mapping[str, NDArray[Any] | None], path: Path) -> None:
    """Write a NumPy archive, without the arrays that are None."""
    present = {name: array for name, array in arrays.items() if array is not None}
    with _replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **present)


def marker_arrays(markers: Sequence[PlacedMarker]) -> dict[str, NDArray[Any]]:
    """Return positions, times, channels and texts of markers, each an array (marker,).

    Texts are cut to `MAX_ARRAY_TEXT` characters.
    """
    texts = [each.text[:MAX_ARRAY_TEXT] for each in markers]
    return {
        "marker_samples": np.array([each.sample for each in markers], dtype=np.int64),
        "marker_times_s": np.array([each.time_s for each in markers], dtype=np.float64),
        "marker_durations_s": np.array([each.duration_s for each in markers], dtype=np.float64),
        "marker_channels": np.array([each.channel for each in markers], dtype=np.str_),
        "marker_texts": np.array(texts, dtype=np.str_),
    }


def write_csv(export: Export, path: Path) -> None:
    """Write one row per value: by channel set, then by time."""
    is_complex = np.iscomplexobj(export.values)
    header = ["channels", "time_s"]
    header += ["utc"] if export.times_ns is not None else []
    header += ["frequency_hz", *(("real", "imag") if is_complex else ("value",))]
    header += ["phase_rad"] if export.phase is not None else []
    header += ["level"] if export.signif is not None else []
    header += ["masked"]
    header += ["markers"] if export.markers else []
    with _replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        for name, value in export.provenance.items():
            file.write(f"# {name}: {value}\n")
        for label, unit in zip(export.labels, export.units, strict=True):
            file.write(f"# unit of {label}: {unit or 'not stated'}\n")
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        texts = _texts_at(export)
        for place, label in enumerate(export.labels):
            _write_rows(export, place, label, texts, table.writerows)


def _texts_at(export: Export) -> dict[int, str]:
    """Return the texts of the markers by column; each marker is at its nearest column."""
    texts: dict[int, str] = {}
    for marker in export.markers:
        column = export.column_of(marker)
        if 0 <= column < len(export.samples):
            texts[column] = "; ".join(filter(None, (texts.get(column), marker.text)))
    return texts


def _write_rows(
    export: Export, place: int, label: str, texts: Mapping[int, str], write: Callable[[Any], Any]
) -> None:
    k, n = len(export.freqs_hz), len(export.times_s)
    at_once = max(CSV_ROWS // k, 1)
    for start in range(0, n, at_once):
        piece = slice(start, min(start + at_once, n))
        count = piece.stop - piece.start
        columns: list[Any] = [[label] * (k * count), np.repeat(export.times_s[piece], k).tolist()]
        if export.times_ns is not None:
            stamps = np.datetime_as_string(export.times_ns[piece].view("<M8[ns]"), unit="us")
            columns.append(np.repeat(np.char.add(stamps, "Z"), k).tolist())
        columns.append(_texts(np.tile(export.freqs_hz, count), 9))
        values = export.values[place, :, piece].T.ravel()
        parts = (values.real, values.imag) if np.iscomplexobj(values) else (values,)
        columns += [_texts(part, 9) for part in parts]
        if export.phase is not None:
            columns.append(_texts(export.phase[place, :, piece].T.ravel(), 6))
        if export.signif is not None:
            columns.append(_texts(np.tile(export.signif[place], count), 6))
        columns.append(export.mask[place, :, piece].T.ravel().astype(int).tolist())
        if export.markers:
            noted = [texts.get(column, "") for column in range(start, start + count)]
            columns.append(np.repeat(np.array(noted, dtype=object), k).tolist())
        write(zip(*columns, strict=True))


def _texts(numbers: NDArray[Any], digits: int) -> list[str]:
    """Return numbers as text, empty for NaN."""
    return ["" if each != each else f"{each:.{digits}g}" for each in numbers.tolist()]


def write_netcdf(export: Export, path: Path) -> None:
    """Write dimensions ``set``, ``frequency`` and ``time``, and a variable per array."""
    largest = export.values.real.nbytes
    if largest > NETCDF_BYTES:
        raise ValueError(
            f"cannot write a variable of {largest} bytes: netCDF 3 allows {NETCDF_BYTES}; "
            "choose a longer step, fewer channels, or npz"
        )
    from scipy.io import netcdf_file  # slow to import

    # Without this the file would keep views of the arrays in memory.
    with _replacing(path) as part, netcdf_file(str(part), "w", mmap=False, version=2) as file:
        for name, value in {"Conventions": "CF-1.8", **export.provenance}.items():
            setattr(file, name, value)
        for name, size in zip(("set", "frequency", "time"), export.values.shape, strict=True):
            file.createDimension(name, size)
        _put_time(file, export)
        _put(
            file,
            "time_s",
            export.times_s,
            ("time",),
            units="s",
            long_name="time since the epoch began",
        )
        _put(file, "sample", export.samples.astype(np.float64), ("time",), units="1")
        _put(file, "frequency", export.freqs_hz, ("frequency",), units="Hz")
        _put(file, "scale", export.scales_s, ("frequency",), units="s", long_name="wavelet scale")
        _put_texts(file, "channels", export.labels, "set")
        _put_texts(file, "units_of_values", export.units, "set")
        _put_values(file, export)
        if export.markers:
            _put_markers(file, export.markers)
        flags = {"flag_values": np.array([0, 1], dtype="i1"), "flag_meanings": "valid masked"}
        _put(file, "mask", export.mask.astype("i1"), ("set", "frequency", "time"), **flags)
        if export.signif is not None:
            long_name = "significance level of the value"
            _put(file, "level", export.signif, ("set", "frequency"), units="1", long_name=long_name)


def _put_values(file: Any, export: Export) -> None:  # noqa: ANN401 - scipy has no type of it
    axes = ("set", "frequency", "time")
    units = {"units": export.units[0]} if len(set(export.units)) == 1 and export.units[0] else {}
    name = str(export.provenance.get("quantity", "value"))
    if np.iscomplexobj(export.values):
        _put(file, "value_real", export.values.real, axes, long_name=f"{name}, real part", **units)
        _put(
            file,
            "value_imag",
            export.values.imag,
            axes,
            long_name=f"{name}, imaginary part",
            **units,
        )
    else:
        _put(file, "value", export.values, axes, long_name=name, **units)
    if export.phase is not None:
        _put(file, "phase", export.phase, axes, units="rad")


def _put_time(file: Any, export: Export) -> None:  # noqa: ANN401
    """Write the time axis: dates if known, otherwise seconds."""
    if export.times_ns is None:
        _put(file, "time", export.times_s, ("time",), units="s", standard_name="time")
        return
    begin_s = int(export.times_ns[0]) // NS
    begin = datetime.fromtimestamp(begin_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    seconds = (export.times_ns - begin_s * NS) / NS
    _put(
        file,
        "time",
        seconds,
        ("time",),
        units=f"seconds since {begin}",
        standard_name="time",
        calendar="standard",
    )


def _put(file: Any, name: str, array: NDArray[Any], axes: tuple[str, ...], **about: Any) -> None:  # noqa: ANN401
    variable = file.createVariable(name, array.dtype, axes)
    variable[:] = array
    for key, value in about.items():
        setattr(variable, key, value)


def _put_markers(file: Any, markers: Sequence[PlacedMarker]) -> None:  # noqa: ANN401
    """Write the dimension ``marker``, and a variable for each property of the markers."""
    file.createDimension("marker", len(markers))
    arrays = marker_arrays(markers)
    axes = ("marker",)
    _put(file, "marker_sample", arrays["marker_samples"].astype(np.float64), axes, units="1")
    long_name = "time of the marker since the epoch began"
    _put(file, "marker_time_s", arrays["marker_times_s"], axes, units="s", long_name=long_name)
    _put(file, "marker_duration_s", arrays["marker_durations_s"], axes, units="s")
    _put_texts(file, "marker_channel", tuple(arrays["marker_channels"].tolist()), "marker")
    _put_texts(file, "marker_text", tuple(arrays["marker_texts"].tolist()), "marker")


def _put_texts(file: Any, name: str, texts: tuple[str, ...], axis: str) -> None:  # noqa: ANN401
    encoded = [text.encode() for text in texts]
    length = max(1, *map(len, encoded))
    file.createDimension(f"{name}_length", length)
    variable = file.createVariable(name, "S1", (axis, f"{name}_length"))
    variable[:] = np.array(encoded, dtype=f"S{length}").view("S1").reshape(len(texts), length)
    variable._Encoding = "utf-8"


def write_picture(export: Export, path: Path) -> None:
    """Draw a panel per channel set, with at most `PICTURE_COLUMNS` columns."""
    # matplotlib is an optional dependency, and slow to import. The package reports how to install
    # it.
    from pycwt_mod.plot import COLOUR_MAP  # noqa: F401 - asks for matplotlib
    from matplotlib.figure import Figure  # isort: skip

    width, height = PANEL
    figure = Figure(figsize=(width, height * len(export.labels)), layout="constrained")
    axes = figure.subplots(len(export.labels), 1, sharex=True, squeeze=False)[:, 0]
    for place, (ax, label) in enumerate(zip(axes, export.labels, strict=True)):
        _draw(export, place, ax)
        _draw_markers(export, ax)
        ax.set_title(f"{export.stream}, {export.analysis}: {' with '.join(label.split(','))}")
    with _replacing(path) as part:
        figure.savefig(part, dpi=110, format=path.suffix.removeprefix(".") or "png")


def _draw_markers(export: Export, ax: Axes) -> None:
    """Draw a thin line per marker, with its text if there are few."""
    begin_s, end_s = float(export.times_s[0]), float(export.times_s[-1])
    shown = [each for each in export.markers if begin_s <= each.time_s <= end_s]
    transform = ax.get_xaxis_transform()
    ax.vlines(
        [each.time_s for each in shown], 0, 1, transform=transform, colors="black", linewidth=0.5
    )
    for marker in shown if len(shown) <= MAX_LABELS else ():
        label = " ".join(marker.text.split())[:LABEL_LENGTH].replace("$", r"\$")
        ax.text(
            marker.time_s, 0.98, label, transform=transform, rotation=90, fontsize=6,
            horizontalalignment="right", verticalalignment="top",
        )  # fmt: skip


def _draw(export: Export, place: int, ax: Axes) -> None:
    from pycwt_mod.plot import Options, plot_coherence, plot_cross, plot_scalogram

    n = len(export.times_s)
    shown = np.unique(np.linspace(0, n - 1, min(n, PICTURE_COLUMNS)).astype(int))
    times_s, values = export.times_s[shown], export.values[place][:, shown]
    phase = None if export.phase is None else export.phase[place][:, shown]
    options: Options = {"mask": export.mask[place][:, shown]}
    if export.signif is not None:
        options["signif"] = export.signif[place]
    quantity, op = export.provenance.get("quantity"), export.provenance["op"]
    if op in COHERENCES:
        plot_coherence(ax, times_s, export.freqs_hz, values, phase=phase, **options)
    elif quantity == "phase":
        mesh = ax.pcolormesh(
            times_s, export.freqs_hz, values, cmap="twilight", vmin=-np.pi, vmax=np.pi
        )
        ax.set(yscale="log", xlabel="Time (s)", ylabel="Frequency (Hz)")
        ax.figure.colorbar(mesh, ax=ax, label="Phase (rad)")
    elif op == "xwt":
        size = np.abs(values) ** (2 if quantity == "amplitude" else 1)
        cross = size * np.exp(1j * (np.angle(values) if phase is None else phase))
        plot_cross(ax, times_s, export.freqs_hz, cross, unit=export.units[place], **options)
    else:
        power = np.abs(values) ** (1 if quantity == "power" else 2)
        unit = export.units[place].removesuffix("^2")
        plot_scalogram(ax, times_s, export.freqs_hz, power, unit=unit, **options)
