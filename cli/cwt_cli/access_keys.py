"""`pycwt-mod key`: the keys of HTTP clients."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final

import typer

from cwt_cli.help_examples import examples
from cwt_cli.names import checked_name
from cwt_cli.shell import command_log, run_command, server
from cwt_runtime.bus import Bucket
from cwt_runtime.rpc.audit import AuditLog
from cwt_runtime.rpc.caller import Caller
from cwt_runtime.storage.keys import add_key, list_keys, revoke_key
from cwt_schemas import storage
from cwt_schemas.access import KeyRecord, Role
from cwt_schemas.audit import AuditAction
from pycwt_client import connect

__all__ = ["key"]

key = typer.Typer(
    name="key", no_args_is_help=True, help="Add, list and revoke keys for clients of the gateway."
)

#: Callback that records a change of the key with a name.
Audit = Callable[[AuditAction, str], Awaitable[None]]

SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400}


def seconds_of(text: str) -> int:
    """Parse a duration such as ``30d`` to seconds.

    Raises
    ------
    typer.BadParameter
        The text is not a number of days, hours or minutes.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,5})([dhm])", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a time such as 30d, 12h or 15m")
    return int(match[1]) * SECONDS[match[2]]


@key.command(epilog=examples("key add"))
def add(
    name: Annotated[str, typer.Argument(help="Name of the key", callback=checked_name)],
    role: Annotated[Role, typer.Option(help="Role of the NATS user whose permissions the key has")],
    user: Annotated[
        str | None,
        typer.Option(
            callback=checked_name,
            help="Name of that user (default: the name of the role; for a "
            "device, the name of the key)",
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Time until the key expires, such as 30d, 12h or 15m (default: never)",
        ),
    ] = None,
) -> None:
    """Add a key and print it. It cannot be printed again, because only its hash is stored."""
    acts_as = user or (name if role is Role.DEVICE else role.value)
    expires_ns = None if expires is None else time.time_ns() + seconds_of(expires) * 1_000_000_000
    run_command(partial(_add, name, role, acts_as, expires_ns))


async def _add(name: str, role: Role, user: str, expires_ns: int | None) -> None:
    async with _keys() as (bucket, audit):
        await audit(AuditAction.KEY_ADDED, name)
        made = await add_key(bucket, name, role, user, expires_ns=expires_ns)
    typer.echo(made)
    typer.echo(f"the key {name} acts as the user {user} of NATS; it is not shown again", err=True)


@key.command("list")
def list_command() -> None:
    """List the keys with their roles, NATS users and expiry times."""
    run_command(_list)


async def _list() -> None:
    async with _keys() as (bucket, _):
        records = await list_keys(bucket)
    for record in records:
        typer.echo(in_words(record, time.time_ns()))
    if not records:
        typer.echo("no keys")


@key.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name of the key", callback=checked_name)],
) -> None:
    """Revoke a key. Every gateway refuses it immediately and closes its WebSockets."""
    run_command(partial(_revoke, name))


async def _revoke(name: str) -> None:
    async with _keys() as (bucket, audit):
        if await bucket.get(name) is not None:
            await audit(AuditAction.KEY_REVOKED, name)
        await revoke_key(bucket, name)
    typer.echo(f"{name} is revoked")


def in_words(record: KeyRecord, now_ns: int) -> str:
    """Format a key as a line."""
    line = f"{record.name}: {record.role}, user {record.user}, {_date('since', record.created_ns)}"
    if record.expires_ns is None:
        return line
    verb = "expires" if record.expires_ns > now_ns else "expired"
    return f"{line}, {_date(verb, record.expires_ns)}"


def _date(verb: str, t_ns: int) -> str:
    return f"{verb} {datetime.fromtimestamp(t_ns / 1e9, UTC):%Y-%m-%d %H:%M} UTC"


@asynccontextmanager
async def _keys() -> AsyncIterator[tuple[Bucket, Audit]]:
    """Yield the bucket of keys, and a callback that records a change before it is made."""
    settings = server()
    async with connect(settings, name="pycwt-mod key", log=command_log(quiet=True)) as client:
        log = client.bus.log
        record = partial(AuditLog(log).record, kind="key", caller=Caller(user=settings.user))

        async def audit(action: AuditAction, name: str) -> None:
            await record(action, name=name)

        yield await log.bucket(storage.KV_KEYS), audit
