"""`pycwt-mod watch`: what the system computes, while it does."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import anyio
import typer
from rich.console import Console

from cli.display import show
from cli.live_table import LiveTable
from cli.shell import command_log, run_command, server_url, stoppable
from pycwt_client import Client, connect
from schemas import storage
from schemas.errors import ContractError

__all__ = ["follow_events", "follow_results", "follow_streams", "watch"]

POLL_S = 1.0


def watch(
    stream: Annotated[str | None, typer.Argument(help="one stream; without: all of them")] = None,
) -> None:
    """Show the latest results, rates, latency and events, until Ctrl-C."""
    run_command(partial(_watch, stream))


async def _watch(stream: str | None) -> None:
    log = command_log(quiet=True)
    async with connect(server_url(), name="pycwt-mod watch", log=log) as client:
        # Asks first: a stream that is not there, or services that do not run, are told at once.
        await (client.list_streams() if stream is None else client.get_stream(stream))
        await stoppable(partial(_follow, client, stream))


async def _follow(client: Client, stream: str | None, _again: anyio.Event) -> None:
    table = LiveTable()
    start = await client.bus.log.last_seq(storage.RESULTS) + 1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_results, client, stream, table, start)
        tasks.start_soon(follow_events, client, stream, table, start)
        tasks.start_soon(follow_streams, client, stream, table)
        await show(table, Console())


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
        try:
            for status in await client.list_streams():
                if stream in {None, status.definition.name}:
                    table.feed_status(status, anyio.current_time())
        except ContractError as error:
            if not error.transient:
                raise
        await anyio.sleep(POLL_S)
