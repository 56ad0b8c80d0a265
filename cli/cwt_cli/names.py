"""Parse names of streams, channels, analyses, jobs and devices on the command line."""

from __future__ import annotations

import typer

from cwt_schemas.message import is_name

__all__ = ["checked_name", "split_names"]


def checked_name(value: str | None) -> str | None:
    """Validate a name, which must be usable as a token of a subject.

    Raises
    ------
    typer.BadParameter
        The name is not valid.
    """
    if value is not None and not is_name(value):
        raise typer.BadParameter(f"invalid name {value!r}: use 1 to 64 letters, digits, - or _")
    return value


def split_names(listed: str) -> tuple[str, ...]:
    """Parse a comma-separated list of names."""
    return tuple(name.strip() for name in listed.split(","))
