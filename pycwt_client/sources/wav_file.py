"""Sound and vibration in WAV files; the samples as they are stored, without a scale."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray
from scipy.io import wavfile

from pycwt_client.signals import Samples
from pycwt_client.sources.channels import channels_of
from pycwt_client.sources.source import CHUNK_S, Recorded, Signals, SourceError, SourceInfo

__all__ = ["WavSource"]

#: Silence in unsigned samples of eight bits.
MIDDLE = 128


class WavSource:
    """A WAV file: PCM of 8 to 32 bits, or floating point; the channels are ``ch1``, ``ch2``, ...

    Samples of 24 bits are the upper ones of 32. A WAV file does not say when it was recorded.
    """

    def __init__(self, path: Path, *, chunk_s: float = CHUNK_S) -> None:
        self._path = path
        self._chunk_s = chunk_s

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        """Read the header; the samples are read as they are asked for, where the file allows."""
        fs_hz, samples = await to_thread.run_sync(_opened, self._path)
        n_channels = samples.shape[1]
        info = SourceInfo(
            name=self._path.name,
            channels=channels_of([""] * n_channels, [None] * n_channels),
            fs_hz=float(fs_hz),
            n_samples=len(samples),
        )

        def read(start: int, stop: int) -> Samples:
            piece = np.array(samples[start:stop])
            return piece.astype(np.int16) - MIDDLE if piece.dtype == np.uint8 else piece

        yield Recorded(info, read, chunk_s=self._chunk_s)


def _opened(path: Path) -> tuple[int, NDArray[np.generic]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks that are no samples
        try:
            try:
                fs_hz, samples = wavfile.read(path, mmap=True)
            except ValueError:  # 24 bits cannot be mapped
                fs_hz, samples = wavfile.read(path)
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from None
        except Exception as error:  # noqa: BLE001 - whatever its parser meets in a file that is none
            reason = str(error) or type(error).__name__
            raise SourceError(f"{path} is no WAV file that can be read: {reason}") from None
    if len(samples) == 0:
        raise SourceError(f"{path} has no samples")
    return fs_hz, samples[:, None] if samples.ndim == 1 else samples
