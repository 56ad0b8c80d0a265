"""Read recordings for `query` and `job`, named as for `publish`."""

from __future__ import annotations

from pathlib import Path

from anyio import to_thread

from cwt_cli.names import split_names
from cwt_cli.shell import warn
from pycwt_client.sources import named_source
from pycwt_client.sources.whole import Whole, read_whole, resampled

__all__ = ["read_named", "short_name"]


async def read_named(
    name: str, channels: str | None, fs_hz: float | None, resample_hz: float | None
) -> Whole:
    """Read a whole recording with these channels, at its own rate or resampled.

    Raises
    ------
    SourceError
        The recording cannot be read, does not state its rate, or lacks a channel.
    """
    chosen = None if channels is None else split_names(channels)
    whole = await read_whole(named_source(name, channels=chosen, fs_hz=fs_hz))
    for text in whole.info.warnings:
        warn(text)
    if resample_hz is None:
        return whole
    return await to_thread.run_sync(resampled, whole, resample_hz)


def short_name(name: str) -> str:
    """Return the last part of a source's name: of ``edf:nights/one.edf``, ``one.edf``."""
    return Path(name.rpartition(":")[2]).name
