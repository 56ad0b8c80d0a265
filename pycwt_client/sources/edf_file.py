"""European Data Format, EDF, EDF+ and BDF: polysomnograms, EEG, ECG."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from anyio import to_thread

from pycwt_client.signals import Samples, nanoseconds
from pycwt_client.sources.channels import channels_of, legal_names
from pycwt_client.sources.source import (
    CHUNK_S,
    MissingDriverError,
    Recorded,
    Signals,
    SourceError,
    SourceInfo,
    places_of,
)

if TYPE_CHECKING:
    from pyedflib import EdfReader

__all__ = ["EdfSource"]


class EdfSource:
    """An EDF(+) or BDF(+) file, in physical units, float32.

    A stream has one rate: where the file's signals have several, `channels` has to choose. The
    start time of the header, which has no time zone, is taken as UTC. Interrupted files (EDF+D) are
    refused by the driver.

    Parameters
    ----------
    path
        The file.
    channels
        Signals to read, by their labels as names (``EEG Fpz-Cz`` is ``EEG_Fpz-Cz``); None: all.
    chunk_s
        Seconds in one piece.
    """

    def __init__(
        self, path: Path, *, channels: tuple[str, ...] | None = None, chunk_s: float = CHUNK_S
    ) -> None:
        self._path = path
        self._channels = channels
        self._chunk_s = chunk_s

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        """Read the header; the samples are read as they are asked for."""
        reader = await to_thread.run_sync(_opened, self._path)
        try:
            names = legal_names(reader.getSignalLabels())
            wanted = self._channels or names
            places = places_of(wanted, names, self._path.name)
            fs_hz, n_samples = _one_rate(reader, places, names)
            labels = [reader.getSignalLabels()[at] for at in places]
            info = SourceInfo(
                name=self._path.name,
                channels=channels_of(labels, [reader.getPhysicalDimension(at) for at in places]),
                fs_hz=fs_hz,
                n_samples=n_samples,
            )

            def read(start: int, stop: int) -> Samples:
                columns = [reader.readSignal(at, start, stop - start) for at in places]
                return np.stack(columns, axis=1).astype("<f4")

            started = reader.getStartdatetime().replace(tzinfo=UTC)
            yield Recorded(info, read, chunk_s=self._chunk_s, t0_ns=nanoseconds(started))
        finally:
            reader.close()


def _opened(path: Path) -> EdfReader:
    try:
        from pyedflib import EdfReader
    except ImportError:
        raise MissingDriverError("an EDF file", "edf") from None
    try:
        return EdfReader(str(path))
    except OSError as error:
        raise SourceError(str(error)) from None


def _one_rate(reader: EdfReader, places: list[int], names: tuple[str, ...]) -> tuple[float, int]:
    rates = [float(reader.getSampleFrequency(at)) for at in places]
    if len(set(rates)) != 1:
        told = ", ".join(f"{names[at]} {rate:g} Hz" for at, rate in zip(places, rates, strict=True))
        raise SourceError(f"the signals have several rates, choose those of one: {told}")
    return rates[0], min(int(reader.getNSamples()[at]) for at in places)
