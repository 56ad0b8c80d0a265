"""Base classes of file sources: path, options, and opening in a thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from anyio import to_thread

from pycwt_client.sources.source import Recorded, Signals
from pycwt_client.sources.tables import DEFAULTS, TableOptions

__all__ = ["ChannelFileSource", "FileSource"]


class FileSource(ABC):
    """Implement `Source` for a recording in a file.

    Parameters
    ----------
    path
        The file.
    options
        Sampling rate, and duration of a piece.
    """

    def __init__(self, path: Path, options: TableOptions = DEFAULTS) -> None:
        self._path = path
        self._options = options

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        """Open the file in a thread; samples are read with the pieces."""
        with closing(await to_thread.run_sync(self._read)) as recorded:
            yield recorded

    @abstractmethod
    def _read(self) -> Recorded:
        """Return the recording. Called in a thread.

        Raises
        ------
        SourceError
            The file is not valid.
        """


class ChannelFileSource(FileSource):
    """Implement `Source` for a file of which only the selected channels are read.

    Parameters
    ----------
    path, options
        As in `FileSource`.
    channels
        Channels to read, in that order; None reads all.
    """

    def __init__(
        self,
        path: Path,
        options: TableOptions = DEFAULTS,
        *,
        channels: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(path, options)
        self._channels = channels
