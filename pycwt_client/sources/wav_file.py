"""Sound and vibration in WAV files; samples are as stored, without a scale."""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from pycwt_client.signals import Samples
from pycwt_client.sources.channels import channels_of
from pycwt_client.sources.file_source import FileSource
from pycwt_client.sources.source import CHUNK_S, Recorded, SourceError, SourceInfo
from pycwt_client.sources.tables import TableOptions

__all__ = ["WavSource"]

#: Zero level of unsigned 8-bit samples.
MIDDLE = 128
#: Minimum length in the header that means unknown, as written by streaming programs.
UNKNOWN_LENGTH = 0x7FFFF000
HEADER_BYTES = 12


class WavSource(FileSource):
    """A WAV file: PCM of 8 to 32 bits, or floating point; the channels are ``ch1``, ``ch2``, ...

    Samples of 24 bits are the upper ones of 32. A WAV file has no time of recording.

    Parameters
    ----------
    path
        The file.
    chunk_s
        Duration of a piece, seconds.
    fs_hz
        Sampling rate; overrides that of the header.
    """

    def __init__(self, path: Path, *, chunk_s: float = CHUNK_S, fs_hz: float | None = None) -> None:
        super().__init__(path, TableOptions(fs_hz=fs_hz, chunk_s=chunk_s))

    def _read(self) -> Recorded:
        fs_hz, samples, messages = _opened(self._path)
        n_channels = samples.shape[1]
        info = SourceInfo(
            name=self._path.name,
            channels=channels_of([""] * n_channels, [None] * n_channels),
            fs_hz=self._options.fs_hz or float(fs_hz),
            n_samples=len(samples),
            warnings=messages,
        )

        def read(start: int, stop: int) -> Samples:
            piece = np.array(samples[start:stop])
            return piece.astype(np.int16) - MIDDLE if piece.dtype == np.uint8 else piece

        return Recorded(info, read, chunk_s=self._options.chunk_s)


@dataclass(frozen=True, kw_only=True)
class DataChunk:
    """Location of the samples, and their number in the header."""

    #: Offset of the field with their length, just before the samples.
    size_at: int
    stated: int
    present: int
    frame_bytes: int
    order: str

    @property
    def is_complete(self) -> bool:
        """Whether the file has what its header states."""
        return 0 < self.stated <= self.present

    def mended(self, content: bytes) -> bytes:
        """Return the file with its actual length, in complete frames."""
        present = min(self.present - self.present % self.frame_bytes, UNKNOWN_LENGTH)
        data = self.size_at + 4
        size = struct.pack(f"{self.order}I", present)
        return content[: self.size_at] + size + content[data : data + present]


def _opened(path: Path) -> tuple[int, NDArray[np.generic], tuple[str, ...]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks without samples
        try:
            chunk = _data_chunk(path)
            if chunk is not None and not chunk.is_complete:
                fs_hz, samples = wavfile.read(io.BytesIO(chunk.mended(path.read_bytes())))
            else:
                fs_hz, samples = _mapped(path)
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror}") from None
        except Exception as error:  # noqa: BLE001 - whatever its parser meets in a broken file
            reason = str(error) or type(error).__name__
            raise SourceError(f"cannot read {path} as WAV: {reason}") from None
    if len(samples) == 0 or fs_hz == 0:
        raise SourceError(f"{path} has no {'samples' if fs_hz else 'sampling rate'}")
    messages = _incomplete(path.name, chunk, fs_hz, len(samples))
    return fs_hz, samples[:, None] if samples.ndim == 1 else samples, messages


def _mapped(path: Path) -> tuple[int, NDArray[np.generic]]:
    try:
        return wavfile.read(path, mmap=True)
    except ValueError:  # 24-bit samples cannot be mapped
        return wavfile.read(path)


def _data_chunk(path: Path) -> DataChunk | None:
    """Locate the samples; None if the parser must report an error, or if they exceed 32 bits."""
    size = path.stat().st_size
    frame_bytes = 1
    with path.open("rb") as file:
        riff = file.read(HEADER_BYTES)[:4]
        if riff not in {b"RIFF", b"RIFX"}:
            return None
        order = "<" if riff == b"RIFF" else ">"
        while len(head := file.read(8)) == 8:
            name, length = head[:4], int(struct.unpack(f"{order}I", head[4:])[0])
            at = file.tell()
            if name == b"data":
                return DataChunk(
                    size_at=at - 4,
                    stated=length,
                    present=size - at,
                    frame_bytes=frame_bytes,
                    order=order,
                )
            if name == b"fmt " and len(field := file.read(14)) == 14:
                frame_bytes = max(int(struct.unpack(f"{order}H", field[12:])[0]), 1)
            file.seek(at + length + length % 2)
    return None


def _incomplete(name: str, chunk: DataChunk | None, fs_hz: int, n: int) -> tuple[str, ...]:
    """Return a warning about missing samples, if any."""
    if chunk is None or chunk.is_complete or chunk.stated >= UNKNOWN_LENGTH:
        return ()
    if chunk.stated == 0:
        return (
            f"{name} was not finished by its recorder: its header states no samples, {n} are there",
        )
    stated = chunk.stated // chunk.frame_bytes
    text = (
        f"{name} ends after {n / fs_hz:g} s of the {stated / fs_hz:g} s that its header states: "
        f"{stated - n} samples are missing"
    )
    return (text,)
