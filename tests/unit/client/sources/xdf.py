"""A small writer of XDF files, after github.com/sccn/xdf/wiki/Specifications."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FORMATS = {"float32": "<f4", "int16": "<i2"}


def write_xdf(path: Path, streams: list[tuple[str, str, NDArray[np.float64]]], when: str) -> None:
    """Write streams: each one's header, in which the format is said, its values, and its times.

    `streams` are (header, format, values with the time in the first column).
    """
    parts = [b"XDF:", chunk(1, f"<info><datetime>{when}</datetime></info>".encode())]
    for number, (header, kind, rows) in enumerate(streams, 1):
        stream_id = struct.pack("<I", number)
        parts.append(chunk(2, stream_id + header.encode()))
        values = rows[:, 1:].astype(FORMATS[kind])
        samples = b"".join(
            b"\x08" + struct.pack("<d", time_s) + value.tobytes()
            for time_s, value in zip(rows[:, 0], values, strict=True)
        )
        parts.append(chunk(3, stream_id + b"\x04" + struct.pack("<I", len(rows)) + samples))
        footer = f"<info><sample_count>{len(rows)}</sample_count></info>"
        parts.append(chunk(6, stream_id + footer.encode()))
    path.write_bytes(b"".join(parts))


def chunk(tag: int, content: bytes) -> bytes:
    """Return a chunk: the size of its size, its size, its tag, its content."""
    return b"\x04" + struct.pack("<IH", len(content) + 2, tag) + content


def header(name: str, fs_hz: float, labels: list[str], kind: str = "float32") -> str:
    """Return a stream's header with labelled channels in microvolts."""
    channels = "".join(
        f"<channel><label>{label}</label><unit>microvolts</unit></channel>" for label in labels
    )
    return (
        f"<info><name>{name}</name><type>EEG</type><channel_count>{len(labels)}</channel_count>"
        f"<nominal_srate>{fs_hz}</nominal_srate><channel_format>{kind}</channel_format>"
        f"<desc><channels>{channels}</channels></desc></info>"
    )
