"""`pycwt-mod mark`: set a marker, a note about a time in a stream."""

from __future__ import annotations

import time as clock
from datetime import datetime
from functools import partial
from typing import Annotated

import typer

from cwt_cli.marker_text import marker_place
from cwt_cli.names import checked_name
from cwt_cli.shell import command_log, run_command, server
from pycwt_client import connect
from pycwt_client.signals import nanoseconds

__all__ = ["mark"]

NOW = "now"


def mark(
    stream: Annotated[
        str, typer.Argument(metavar="STREAM", help="Name of the stream", callback=checked_name)
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Note, such as 'eyes closed'")],
    sample: Annotated[
        int | None,
        typer.Option(
            min=0, help="Number of the sample in the epoch (default: the next sample to arrive)"
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|now",
            help="Time by the clock of the device, such as 2026-01-31T08:00:00Z, instead of "
            "--sample",
        ),
    ] = None,
    duration: Annotated[float | None, typer.Option(min=0, help="Length in seconds")] = None,
    channel: Annotated[
        str | None, typer.Option(help="Channel that the note is about (default: all)")
    ] = None,
    epoch: Annotated[
        str | None, typer.Option(help="Run of the device (default: the current one)")
    ] = None,
) -> None:
    """Add a marker to a stream: a note about a moment, which watch and the page show."""
    if sample is not None and time is not None:
        raise typer.BadParameter("give --sample or --time, not both")
    t_ns = None if time is None else time_ns(time)
    run_command(partial(_mark, stream, text, sample, t_ns, duration, channel, epoch))


def time_ns(text: str) -> int:
    """Parse --time to nanoseconds UTC.

    Raises
    ------
    typer.BadParameter
        The text is not a time with a time zone.
    """
    if text == NOW:
        return clock.time_ns()
    try:
        return nanoseconds(datetime.fromisoformat(text))
    except ValueError:
        raise typer.BadParameter(
            f"--time must be a time with a zone, such as 2026-01-31T08:00:00Z, or now, not {text!r}"
        ) from None


async def _mark(
    stream: str,
    text: str,
    sample: int | None,
    t_ns: int | None,
    duration: float | None,
    channel: str | None,
    epoch: str | None,
) -> None:
    log = command_log(quiet=True)
    async with connect(server(), name="pycwt-mod mark", log=log) as client:
        marker = await client.mark(
            stream,
            text,
            epoch=epoch,
            first_sample=sample,
            t_ns=t_ns,
            duration_s=duration,
            channel=channel,
        )
    where = marker_place(marker)
    if marker.epoch is not None:
        where += f" of epoch {marker.epoch}"
    typer.echo(f"marked {stream} at {where}: {text}")
