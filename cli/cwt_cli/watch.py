"""`pycwt-mod watch`: what the system computes, while it does."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.live import Live

from cwt_cli.derived import split_names
from cwt_cli.display import REFRESH_S, show
from cwt_cli.faults import USAGE, CommandError
from cwt_cli.keys import keys, single_keys
from cwt_cli.live_table import LiveTable
from cwt_cli.live_view import LiveView, Subject, span_of, subjects_of
from cwt_cli.names import checked_name
from cwt_cli.piped_console import PipedConsole
from cwt_cli.shell import command_log, run_command, server_url, stoppable
from cwt_schemas.errors import ContractError, NotFound
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client, connect

__all__ = ["follow_events", "follow_results", "follow_streams", "watch"]

POLL_S = 1.0
#: With --once: so many of the newest results and events are read, until none comes for so long.
NEWEST = 5000
QUIET_S = 0.5
NEXT_KEYS = {"\t", "n", " "}


def watch(
    stream: Annotated[
        str | None, typer.Argument(help="one stream; without: all of them", callback=checked_name)
    ] = None,
    analysis: Annotated[str | None, typer.Argument(help="one of its analyses")] = None,
    channels: Annotated[str | None, typer.Option(help="which of its channels, c3 or c3,c4")] = None,
    span: Annotated[float | None, typer.Option(min=0.1, help="seconds of signal shown")] = None,
    once: Annotated[bool, typer.Option("--once", help="print a table of now, and end")] = False,
) -> None:
    """Show a stream's picture as it grows, its rates, lag and events; without a name, a table."""
    run_command(partial(_watch, stream, analysis, channels, span, once))


async def _watch(
    stream: str | None, analysis: str | None, channels: str | None, span: float | None, once: bool
) -> None:
    log = command_log(quiet=True)
    console = PipedConsole()
    async with connect(server_url(), name="pycwt-mod watch", log=log) as client:
        # Asks first: a stream that is not there, or services that do not run, are told at once.
        subjects: list[Subject] = []
        if stream is None:
            await client.list_streams()
        else:
            subjects = chosen(subjects_of(await _defined(client, stream)), analysis, channels)
        if once:
            await _once(client, stream, console)
        elif subjects and console.is_terminal:
            await stoppable(partial(_view, client, subjects, span, console))
        else:
            await stoppable(partial(_follow, client, stream, console))


async def _defined(client: Client, stream: str) -> StreamDefinition:
    try:
        return (await client.get_stream(stream)).definition
    except NotFound:
        names = ", ".join(each.definition.name for each in await client.list_streams())
        raise CommandError(
            f"no stream is called {stream}; there is: {names or 'none'}. "
            f"`pycwt-mod publish FILE --stream {stream} --coherence A,B --band 2,40` makes one"
        ) from None


def chosen(subjects: list[Subject], analysis: str | None, channels: str | None) -> list[Subject]:
    """Return the subjects of an analysis, or all, beginning with the one of these channels.

    A stream without analyses has none, and its rates and events can still be watched.

    Raises
    ------
    CommandError
        There is no such analysis, or it has no such channels.
    """
    wanted = None if channels is None else split_names(channels)
    found = [each for each in subjects if analysis in {None, each.analysis.name}]
    places = [at for at, each in enumerate(found) if wanted in {None, each.channels}]
    if places:
        return [*found[places[0] :], *found[: places[0]]]
    if analysis is None and channels is None:
        return []
    there = "; ".join(
        f"{each.analysis.name} of {','.join(each.channels)}" for each in subjects[:20]
    )
    name, of = f" {analysis}" if analysis else "", f" of {channels}" if channels else ""
    raise CommandError(f"the stream has no analysis{name}{of}; there is: {there or 'none'}", USAGE)


async def _view(
    client: Client, subjects: list[Subject], span_s: float | None, console: Console, _: anyio.Event
) -> None:
    """Show one subject after the other, each until a key asks for the next."""
    table = LiveTable()
    stream = subjects[0].definition.name
    colour = console.color_system is not None and not console.no_color
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_events, client, stream, table, await client.next_seq())
        tasks.start_soon(follow_streams, client, stream, table)
        with single_keys() as pressable, _screen(console) as live:
            for subject in cycle(subjects):
                view = LiveView(subject, span_s or span_of(subject.analysis), table)
                async with _fed(client, view):
                    with anyio.CancelScope() as turn:
                        async with anyio.create_task_group() as turned:
                            if pressable:
                                turned.start_soon(_leave_on_key, turn)
                            await _draw(view, live, console, colour)


@asynccontextmanager
async def _fed(client: Client, view: LiveView) -> AsyncIterator[None]:
    """Feed the view with what is in the log of the time it shows, and with what comes."""
    subject = view.subject
    begin = datetime.now(UTC) - timedelta(seconds=view.span_s)

    async def feed() -> None:
        names = subject.definition.name, subject.analysis.name
        async with client.results(*names, start_time=begin) as results:
            async for result in results:
                view.feed(result)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed)
        yield
        tasks.cancel_scope.cancel()


def _screen(console: Console) -> Live:
    return Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop")


async def _draw(view: LiveView, live: Live, console: Console, colour: bool) -> None:
    while True:
        size = console.size
        live.update(view.render(size.width, size.height, time.time(), colour=colour), refresh=True)
        await anyio.sleep(REFRESH_S)


async def _leave_on_key(turn: anyio.CancelScope) -> None:
    async for key in keys():
        if key in NEXT_KEYS:
            turn.cancel()


async def _once(client: Client, stream: str | None, console: Console) -> None:
    """Print the table of the newest results in the log, and how fast the streams go."""
    table = LiveTable()
    await _ask_streams(client, stream, table)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read_newest, client, stream, table)
        await anyio.sleep(POLL_S)  # two requests make a rate
    await _ask_streams(client, stream, table)
    console.print(table.table(time.time()))


async def _read_newest(client: Client, stream: str | None, table: LiveTable) -> None:
    end = await client.next_seq()
    async with client.results(stream, start_seq=max(end - NEWEST, 1)) as results:
        while results.seq < end - 1:
            with anyio.move_on_after(QUIET_S) as quiet:
                result = await anext(results)
                table.feed_result(result, result.times_ns.computed / 1e9)
            if quiet.cancelled_caught:
                return  # the last ones are of other streams, or events


async def _follow(
    client: Client, stream: str | None, console: Console, _again: anyio.Event
) -> None:
    table = LiveTable()
    start = await client.next_seq()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_results, client, stream, table, start)
        tasks.start_soon(follow_events, client, stream, table, start)
        tasks.start_soon(follow_streams, client, stream, table)
        await show(table, console)


async def follow_results(
    client: Client, stream: str | None, table: LiveTable, start_seq: int
) -> None:
    """Feed results to the table until cancelled."""
    async with client.results(stream, start_seq=start_seq) as results:
        async for result in results:
            table.feed_result(result, anyio.current_time())


async def follow_events(
    client: Client, stream: str | None, table: LiveTable, start_seq: int
) -> None:
    """Feed events to the table until cancelled."""
    async with client.events(stream, start_seq=start_seq) as events:
        async for event in events:
            table.feed_event(event)


async def follow_streams(client: Client, stream: str | None, table: LiveTable) -> None:
    """Ask ingest every second how far the streams are, until cancelled."""
    while True:
        await _ask_streams(client, stream, table)
        await anyio.sleep(POLL_S)


async def _ask_streams(client: Client, stream: str | None, table: LiveTable) -> None:
    try:
        for status in await client.list_streams():
            if stream in {None, status.definition.name}:
                table.feed_status(status, anyio.current_time())
    except ContractError as error:
        if not error.transient:
            raise
