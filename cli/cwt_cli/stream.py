"""`pycwt-mod stream`: list and delete streams and their stored data."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from cwt_cli.faults import CommandError
from cwt_cli.help_examples import examples
from cwt_cli.names import checked_name
from cwt_cli.shell import command_log, run_command, server
from cwt_schemas.errors import NotFound
from pycwt_client import connect

__all__ = ["stream"]

stream = typer.Typer(name="stream", no_args_is_help=True, help="List and delete streams.")


@stream.command("list")
def list_streams() -> None:
    """List the defined streams, with rate, channels and analyses."""
    run_command(_list)


async def _list() -> None:
    log = command_log(quiet=True)
    async with connect(server(), name="pycwt-mod stream", log=log) as client:
        streams = await client.list_streams()
    for each in streams:
        defined = each.definition
        analyses = ", ".join(spec.name for spec in defined.analyses) or "no analyses"
        owner = f", defined by {defined.defined_by}" if defined.defined_by else ""
        channels = f"{len(defined.channels)} channels"
        typer.echo(f"{defined.name}: {channels}, {defined.fs_hz:g} Hz, {analyses}{owner}")
    if not streams:
        typer.echo("no streams")


@stream.command(epilog=examples("stream delete"))
def delete(
    name: Annotated[
        str, typer.Argument(metavar="STREAM", help="Name of the stream", callback=checked_name)
    ],
    data: Annotated[
        bool,
        typer.Option(
            "--data", help="Also remove all stored data of the stream, such as signals and results"
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation")] = False,
) -> None:
    """Delete the definition of a stream. Without --data, its signals and results expire by age."""
    if data and not yes:
        typer.confirm(
            f"Remove every sample and result of {name}? They cannot be restored", abort=True
        )
    run_command(partial(_delete, name, data=data))


async def _delete(name: str, *, data: bool) -> None:
    log = command_log(quiet=True)
    async with connect(server(), name="pycwt-mod stream", log=log) as client:
        try:
            await client.delete_stream(name)
        except NotFound as error:
            if not data:  # the data of an already deleted stream can still be removed
                raise CommandError(error.message) from None
        else:
            typer.echo(f"{name} is deleted")
        if data:
            removed = await client.purge_stream(name)
            typer.echo(
                f"removed from {name}: {removed.chunks} chunks, {removed.windows} windows, "
                f"{removed.results} results, {removed.events} events, {removed.markers} markers, "
                f"{removed.dead_letters} dead letters; and all cached replies to queries"
            )
