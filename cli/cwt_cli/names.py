"""Names on the command line: of streams, channels, analyses, jobs and devices."""

from __future__ import annotations

import typer

from cwt_schemas.message import is_name

__all__ = ["checked_name", "split_names"]


def checked_name(value: str | None) -> str | None:
    """Return what was typed, if a subject can have it as a token.

    Raises
    ------
    typer.BadParameter
        It cannot.
    """
    if value is not None and not is_name(value):
        raise typer.BadParameter(f"invalid name {value!r}: use 1 to 64 letters, digits, - or _")
    return value


def split_names(listed: str) -> tuple[str, ...]:
    """Return the names in a list with commas."""
    return tuple(name.strip() for name in listed.split(","))
