"""`pycwt-mod watch`: show results live."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from typing import Annotated, TypeVar

import anyio
import typer
from rich.console import Console
from rich.live import Live

from cwt_cli.display import REFRESH_S, show
from cwt_cli.faults import USAGE, CommandError
from cwt_cli.keys import keys, single_keys
from cwt_cli.live_table import LiveTable
from cwt_cli.live_view import LiveView, Subject, span_of, subjects_of
from cwt_cli.names import checked_name, split_names
from cwt_cli.newest_results import feed_newest
from cwt_cli.pairs_view import PairsView
from cwt_cli.piped_console import PipedConsole
from cwt_cli.shell import command_log, run_command, server, stoppable
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import ContractError, NotFound
from cwt_schemas.live import AnalysisResult
from cwt_schemas.message import PersistedMessage
from cwt_schemas.pair_result import LiveResult, PairsResult
from cwt_schemas.stream import StreamDefinition, StreamStatus
from pycwt_client import Client, Feed, connect

__all__ = ["follow_streams", "print_estimates", "print_messages", "watch"]

Kept = TypeVar("Kept", bound=PersistedMessage)

POLL_S = 1.0
#: With --once, number of streams that are read from the log concurrently.
AT_A_TIME = 8
NEXT_KEYS = {"\t", "n", " "}


def watch(
    stream: Annotated[
        str | None,
        typer.Argument(
            metavar="STREAM", help="Name of the stream (default: all)", callback=checked_name
        ),
    ] = None,
    analysis: Annotated[
        str | None,
        typer.Argument(metavar="ANALYSIS", help="Analysis of the stream (default: all)"),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(
            help="Channel of a spectrum, or pair of a coherence, such as C3,C4 (default: the first)"
        ),
    ] = None,
    span: Annotated[float | None, typer.Option(min=0.1, help="Seconds of signal to show")] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Print a table of the newest results, and exit")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print results, events and markers as JSON, one message per line"
        ),
    ] = False,
    now: Annotated[
        bool,
        typer.Option("--now", help="Print provisional estimates as JSON, one message per line"),
    ] = False,
) -> None:
    """Show a stream live: scalogram, rates, lag, events and markers; or a table of all streams."""
    if once + as_json + now > 1:
        raise typer.BadParameter("give only one of --once, --json and --now")
    if now:
        if stream is None:
            raise typer.BadParameter("give the stream whose estimates --now prints")
        run_command(partial(_watch_now, stream, analysis))
        return
    run_command(partial(_watch, stream, analysis, channels, span, once=once, as_json=as_json))


async def _watch(
    stream: str | None,
    analysis: str | None,
    channels: str | None,
    span: float | None,
    *,
    once: bool,
    as_json: bool,
) -> None:
    log = command_log(quiet=True)
    console = PipedConsole()
    async with connect(server(), name="pycwt-mod watch", log=log) as client:
        # Query the status first, to report a missing stream or service before anything else.
        subjects: list[Subject] = []
        if stream is None:
            await client.list_streams()
        else:
            subjects = chosen(subjects_of(await _defined(client, stream)), analysis, channels)
        if once:
            await _once(client, stream, console)
        elif as_json:
            names = None if channels is None else split_names(channels)
            await stoppable(lambda _again: print_messages(client, stream, analysis, names))
        elif subjects and console.is_terminal:
            await stoppable(partial(_view, client, subjects, span, console))
        else:
            await stoppable(partial(_tabulate, client, stream, console))


async def _watch_now(stream: str, analysis: str | None) -> None:
    async with connect(server(), name="pycwt-mod watch", log=command_log(quiet=True)) as client:
        definition = await _defined(client, stream)
        estimated = [each.name for each in definition.analyses if each.provisional is not None]
        if analysis not in {None, *estimated} or not estimated:
            of = "" if analysis is None else f" of {analysis}"
            raise CommandError(
                f"the stream has no estimates{of}; analyses with `provisional`: "
                f"{', '.join(estimated) or 'none'}",
                USAGE,
            )
        await stoppable(lambda _again: print_estimates(client, stream, analysis))


async def print_estimates(client: Client, stream: str, analysis: str | None) -> None:
    """Print provisional estimates as JSON until cancelled."""
    async with client.now(stream, analysis) as estimates:
        async for each in estimates:
            _print(each)


async def _defined(client: Client, stream: str) -> StreamDefinition:
    try:
        return (await client.get_stream(stream)).definition
    except NotFound:
        names = ", ".join(each.definition.name for each in await client.list_streams())
        raise CommandError(
            f"stream {stream} does not exist; available: {names or 'none'}. "
            f"`pycwt-mod publish FILE --stream {stream} --coherence A,B --band 2,40` creates it"
        ) from None


def chosen(subjects: list[Subject], analysis: str | None, channels: str | None) -> list[Subject]:
    """Return the subjects of one or all analyses, beginning with the one of these channels.

    A stream without analyses has no subjects; its rates and events can still be watched.

    Raises
    ------
    CommandError
        The analysis does not exist, or does not have these channels.
    """
    selected = None if channels is None else split_names(channels)
    candidates = [each for each in subjects if analysis in {None, each.analysis.name}]
    for each in candidates:
        if each.is_of_all_pairs and selected is not None and _is_pair(each, selected):
            pair = tuple(sorted(selected, key=each.channels.index))
            return [replace(each, channels=pair), *candidates]
    places = [at for at, each in enumerate(candidates) if selected in {None, each.channels}]
    if places:
        return [*candidates[places[0] :], *candidates[: places[0]]]
    if analysis is None and channels is None:
        return []
    there = "; ".join(
        f"{each.analysis.name} of {','.join(each.channels)}" for each in subjects[:20]
    )
    name, of = f" {analysis}" if analysis else "", f" of {channels}" if channels else ""
    raise CommandError(f"the stream has no analysis{name}{of}; available: {there or 'none'}", USAGE)


def _is_pair(subject: Subject, selected: tuple[str, ...]) -> bool:
    return len({*selected}) == len(selected) == 2 and {*selected} <= {*subject.channels}


async def _view(
    client: Client, subjects: list[Subject], span_s: float | None, console: Console, _: anyio.Event
) -> None:
    """Show one subject at a time, until a key selects the next one."""
    table = LiveTable()
    stream = subjects[0].definition.name
    colour = console.color_system is not None and not console.no_color
    async with anyio.create_task_group() as tasks:
        start = await client.next_seq()
        tasks.start_soon(_follow, client.events(stream, start_seq=start), table.feed_event)
        tasks.start_soon(_follow, client.markers(stream, start_seq=start), table.feed_marker)
        tasks.start_soon(follow_streams, client, stream, table)
        with single_keys() as pressable, _screen(console) as live:
            for subject in cycle(subjects):
                span = span_s or span_of(subject.analysis)
                view: LiveView | PairsView
                if subject.is_of_all_pairs:
                    view = PairsView(subject, table)
                else:
                    view = LiveView(subject, span, table)
                async with _fed(client, view, span):
                    with anyio.CancelScope() as turn:
                        async with anyio.create_task_group() as turned:
                            if pressable:
                                turned.start_soon(_leave_on_key, turn)
                            await _draw(view, live, console, colour)


@asynccontextmanager
async def _fed(client: Client, view: LiveView | PairsView, span_s: float) -> AsyncIterator[None]:
    """Feed the view with the stored results of its time span, then with new results."""
    subject = view.subject
    begin = datetime.now(UTC) - timedelta(seconds=span_s)
    lane = subject.definition.name, subject.analysis.name

    def feed_pair(result: PairsResult) -> None:
        pair = _pair_of(result, subject.channels)
        if pair is not None and isinstance(view, LiveView):
            view.feed(pair)

    async with anyio.create_task_group() as tasks:
        if isinstance(view, PairsView):
            tasks.start_soon(_follow, client.pair_results(*lane, start_time=begin), view.feed)
        elif subject.analysis.pairs == "all":
            tasks.start_soon(_follow, client.pair_results(*lane, start_time=begin), feed_pair)
        else:
            tasks.start_soon(_follow, client.results(*lane, start_time=begin), view.feed)
        yield
        tasks.cancel_scope.cancel()


def _pair_of(result: PairsResult, channels: tuple[str, ...]) -> AnalysisResult | None:
    """Return the result of one pair, or None if this part of the result does not have it."""
    one, other = channels
    try:
        return result.pair(one, other)
    except KeyError:
        return None


def _screen(console: Console) -> Live:
    return Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop")


async def _draw(view: LiveView | PairsView, live: Live, console: Console, colour: bool) -> None:
    while True:
        size = console.size
        live.update(view.render(size.width, size.height, time.time(), colour=colour), refresh=True)
        await anyio.sleep(REFRESH_S)


async def _leave_on_key(turn: anyio.CancelScope) -> None:
    async for key in keys():
        if key in NEXT_KEYS:
            turn.cancel()


async def _once(client: Client, stream: str | None, console: Console) -> None:
    """Print a table of the newest results in the log, and the rates of the streams."""
    table = LiveTable()
    limiter = anyio.CapacityLimiter(AT_A_TIME)

    async def feed(status: StreamStatus) -> None:
        async with limiter:
            await feed_newest(client, status, table)

    async with anyio.create_task_group() as tasks:
        for status in await _ask_streams(client, stream, table):
            tasks.start_soon(feed, status)
        await anyio.sleep(POLL_S)  # a rate needs two requests
    await _ask_streams(client, stream, table)
    console.print(table.table(time.time()))


async def _tabulate(
    client: Client, stream: str | None, console: Console, _again: anyio.Event
) -> None:
    """Show a table of new results, events and markers until cancelled."""
    table = LiveTable()

    def feed_result(result: LiveResult) -> None:
        table.feed_result(result, anyio.current_time())

    start = await client.next_seq()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_follow, client.results(stream, start_seq=start), feed_result)
        tasks.start_soon(_follow, client.pair_results(stream, start_seq=start), feed_result)
        tasks.start_soon(_follow, client.events(stream, start_seq=start), table.feed_event)
        tasks.start_soon(_follow, client.markers(stream, start_seq=start), table.feed_marker)
        tasks.start_soon(follow_streams, client, stream, table)
        await show(table, console)


async def print_messages(
    client: Client, stream: str | None, analysis: str | None, channels: tuple[str, ...] | None
) -> None:
    """Print new results of these channels, events and markers as JSON until cancelled."""

    def print_result(result: AnalysisResult) -> None:
        if channels in {None, result.channels}:
            _print(result)

    def print_pairs(result: PairsResult) -> None:
        if channels is None:
            _print(result)
        elif len(channels) == 2 and (pair := _pair_of(result, channels)) is not None:
            _print(pair)

    start = await client.next_seq()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_follow, client.results(stream, analysis, start_seq=start), print_result)
        pairs = client.pair_results(stream, analysis, start_seq=start)
        tasks.start_soon(_follow, pairs, print_pairs)
        tasks.start_soon(_follow, client.events(stream, start_seq=start), _print)
        tasks.start_soon(_follow, client.markers(stream, start_seq=start), _print)


def _print(message: PersistedMessage) -> None:
    sys.stdout.buffer.write(encode(message, ContentType.JSON) + b"\n")
    sys.stdout.buffer.flush()


async def _follow(
    feed: AbstractAsyncContextManager[Feed[Kept]], take: Callable[[Kept], None]
) -> None:
    """Pass each message of a feed to `take`, until cancelled."""
    async with feed as messages:
        async for message in messages:
            take(message)


async def follow_streams(client: Client, stream: str | None, table: LiveTable) -> None:
    """Request the status of the streams every second until cancelled."""
    while True:
        await _ask_streams(client, stream, table)
        await anyio.sleep(POLL_S)


async def _ask_streams(client: Client, stream: str | None, table: LiveTable) -> list[StreamStatus]:
    try:
        listed = await client.list_streams()
    except ContractError as error:
        if not error.transient:
            raise
        return []
    selected = [each for each in listed if stream in {None, each.definition.name}]
    for status in selected:
        table.feed_status(status, anyio.current_time())
    return selected
