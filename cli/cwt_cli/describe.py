"""`pycwt-mod describe`: show the contents of a file or device, and the command to publish it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cwt_cli.faults import CommandError
from cwt_cli.names import split_names
from cwt_cli.publish import Rate, parse_rate
from cwt_cli.shell import program, run_command
from cwt_schemas.sampling_rate import RATE_TOLERANCE, rate_text
from pycwt_client.definition import TIME_NAMES, analyses_of_recording
from pycwt_client.sources import (
    ChoiceNeededError,
    Description,
    SourceError,
    SourceInfo,
    describe,
    measured_fs_hz,
    named_source,
)
from pycwt_client.sources.description import ChannelDescription, Gap

__all__ = ["command_for", "describe_command", "lines_of"]

#: Length of the chunks in which a recording is read; long, because each chunk costs a call.
CHUNK_S = 10.0
DEVICES = ("lsl:", "brainflow:")
#: Width of the table: a name of 64 characters, a unit and seven numbers.
WIDTH = 160
#: Number of gaps, and of events, to list.
LISTED = 10
#: Duration of a device's signal for which a frequency band is suggested.
DEVICE_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Order:
    """The parsed command line."""

    source: str
    channels: tuple[str, ...] | None
    fs: Rate | None
    seconds: float


def describe_command(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="Recording, or a source as for publish --source"),
    ],
    channels: Annotated[
        str | None, typer.Option(help="Channels, such as ecg,abp (default: all)")
    ] = None,
    fs: Annotated[
        str | None,
        typer.Option(metavar="HZ|measured", help="Sampling rate in Hz, as for publish --fs"),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds to record from a device")] = 10,
) -> None:
    """Describe a recording or a device: channels, rate, gaps and faults, and how to publish it."""
    order = Order(
        source=source,
        channels=None if channels is None else split_names(channels),
        fs=parse_rate(fs),
        seconds=seconds,
    )
    run_command(partial(_describe, order))


async def _describe(order: Order) -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.width = max(console.width, WIDTH)  # numbers must not be truncated
    try:
        await _print(order, console)
    except ChoiceNeededError as choice:
        console.print(str(choice), markup=False)
        for name, channels in choice.choices:
            chosen = replace(order, source=name or order.source, channels=channels)
            console.print()
            try:
                await _print(chosen, console)
            except SourceError as error:  # the other choices may be readable
                console.print(str(error), markup=False)


async def _print(order: Order, console: Console) -> None:
    chunk_s = None if order.source.startswith(DEVICES) else CHUNK_S
    find = partial(named_source, order.source, channels=order.channels, chunk_s=chunk_s)
    fs_hz = await measured_fs_hz(find()) if order.fs == "measured" else order.fs
    async with find(fs_hz=fs_hz).open() as signals:
        description = await describe(signals, seconds=order.seconds if signals.info.live else None)
    if description.n_samples == 0:
        raise CommandError(f"{description.info.name} sent no samples within {order.seconds:g} s")
    for line in lines_of(description, order):
        console.print(line, markup=False)


def lines_of(description: Description, order: Order) -> Iterator[str | Table]:
    """Yield the lines and the table to print for a description."""
    info = description.info
    yield info.name
    yield from _facts(description)
    yield _table(description)
    yield from _listed("gap", [_gap_text(gap, info.fs_hz) for gap in description.gaps])
    events = [
        f"at {each.onset_s:.2f} s"
        + (f" for {each.duration_s:g} s" if each.duration_s else "")
        + f": {each.text}"
        for each in info.annotations
    ]
    yield from _listed("event", events)
    for text in info.warnings:
        yield f"warning: {text}"
    yield f"to publish: {command_for(description, order)}"


def _facts(description: Description) -> Iterator[str]:
    info = description.info
    if info.t0_ns is not None:
        began = datetime.fromtimestamp(info.t0_ns / 1e9, UTC)
        yield f"recorded from {began:%Y-%m-%d %H:%M:%S} UTC"
    length = f"{description.length_s:,.6g} s, {description.n_samples:,} samples"
    yield f"recorded for {length}" if info.live else length
    measured = description.measured_fs_hz
    by_stamps = (
        "no time stamps to measure the rate"
        if measured is None
        else (f"{rate_text(measured)} measured")
    )
    yield f"{info.fs_hz:g} Hz, {by_stamps}"


def _table(description: Description) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("channel")
    table.add_column("unit")
    for name in ("min", "max", "mean", "sd", "missing", "flat", "railed"):
        table.add_column(name, justify="right")
    for each in description.channels:
        numbers = (each.minimum, each.maximum, each.mean, each.std)
        parts = (each.missing, each.flat, each.railed)
        table.add_row(
            each.channel.name,
            each.channel.unit or "",
            *(f"{number:.5g}" for number in numbers),
            *(_part(part, description.n_samples) for part in parts),
        )
    return table


def _part(samples: int, whole: int) -> str:
    if samples == 0:
        return "-"
    return f"{100 * samples / whole:.2g} %" if samples < whole else "all"


def _gap_text(gap: Gap, fs_hz: float) -> str:
    return (
        f"at {gap.first_sample / fs_hz:.2f} s: {gap.n_samples:,} samples, "
        f"{gap.n_samples / fs_hz:.3g} s"
    )


def _listed(what: str, texts: list[str]) -> Iterator[str]:
    if not texts:
        return
    yield f"{len(texts)} {what}{'s' if len(texts) > 1 else ''}"
    yield from (f"  {text}" for text in texts[:LISTED])
    if len(texts) > LISTED:
        yield f"  and {len(texts) - LISTED} more"


def command_for(description: Description, order: Order) -> str:
    """Return a command that publishes the source and analyses its first usable channels."""
    usable = [
        each.channel.name
        for each in description.channels
        if _is_usable(each, description.n_samples)
    ]
    names = [name for name in usable if name.lower() not in TIME_NAMES] or usable
    words = [program(), "publish"]
    words += [order.source] if Path(order.source).exists() else ["--source", order.source]
    words += ["--stream", _stream_name(description.info)]
    if order.channels is not None:
        words += ["--channels", ",".join(order.channels)]
    words += _rate_words(description, order)
    if not names:
        return " ".join(map(shlex.quote, words)) + "  (no channel has a signal to analyse)"
    n_samples = description.info.n_samples or round(DEVICE_S * description.info.fs_hz)
    channels = tuple(
        each.channel for each in description.channels if each.channel.name in names[:2]
    )
    analyses = analyses_of_recording(
        replace(description.info, channels=channels, n_samples=n_samples)
    )
    for pair in analyses.coherence:
        words += ["--coherence", ",".join(pair)]
    if analyses.power:
        words += ["--power", ",".join(analyses.power)]
    words += ["--band", f"{analyses.fmin_hz:.3g},{analyses.fmax_hz:.3g}"]
    return " ".join(map(shlex.quote, words))


def _is_usable(channel: ChannelDescription, n_samples: int) -> bool:
    return channel.missing < n_samples and channel.maximum > channel.minimum


def _rate_words(description: Description, order: Order) -> list[str]:
    if order.fs is not None:
        return ["--fs", str(order.fs)]
    measured, fs_hz = description.measured_fs_hz, description.info.fs_hz
    off = measured is not None and abs(measured - fs_hz) > RATE_TOLERANCE * fs_hz
    return ["--fs", "measured"] if off else []


def _stream_name(info: SourceInfo) -> str:
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", info.name.partition(".")[0]).strip("-")
    return plain[:64] or "recording"
