"""`pycwt-mod audit`: the changes that each user made."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from cwt_cli.columns import column_lines
from cwt_cli.names import checked_name
from cwt_cli.shell import command_log, run_command, server
from cwt_schemas import storage, subjects
from cwt_schemas.audit import AuditRecord
from cwt_schemas.codec import content_type_of, decode
from pycwt_client import connect

__all__ = ["audit"]

UNKNOWN = "-"


def audit(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Stream, job or key (default: all)", callback=checked_name
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of records, the newest")] = 100,
) -> None:
    """List which user changed which streams, jobs and keys, and when."""
    run_command(partial(_audit, name, limit))


async def _audit(name: str | None, limit: int) -> None:
    log = command_log(quiet=True)
    filters = (subjects.AUDIT if name is None else subjects.audits_about(name),)
    newest: deque[AuditRecord] = deque(maxlen=limit)
    async with (
        connect(server(), name="pycwt-mod audit", log=log) as client,
        client.bus.log.read(storage.AUDIT, filters) as stored,
    ):
        async for each in stored:
            message = each.message
            media = content_type_of(message.headers)
            newest.append(decode(AuditRecord, message.data, media, ignore_unknown=True))
    for line in audit_lines(newest) if newest else ["no records"]:
        typer.echo(line)


def audit_lines(records: Iterable[AuditRecord]) -> list[str]:
    """Format the records as a table with a heading and one line per record."""
    rows = [("time", "user", "action", "name")]
    for each in records:
        when = datetime.fromtimestamp(each.t_ns / 1e9, UTC)
        rows.append((f"{when:%Y-%m-%dT%H:%M:%SZ}", each.user or UNKNOWN, each.action, each.name))
    return column_lines(rows)
