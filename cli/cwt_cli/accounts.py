"""`pycwt-mod accounts`: the accounts of a server that several parties share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from cwt_cli.faults import USAGE, CommandError
from cwt_cli.names import split_names
from cwt_cli.shell import reported
from cwt_runtime.accounts.folder import authority_file, write_accounts
from cwt_runtime.accounts.users import User, analyst, device, reader
from cwt_schemas.message import is_name

__all__ = ["accounts", "users_of"]


def accounts(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder to write the accounts and passwords to")
    ],
    devices: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            metavar="NAME[=STREAM,...]",
            help="User that may publish these streams (default: the stream with its name)",
        ),
    ] = None,
    readers: Annotated[
        list[str] | None,
        typer.Option(
            "--reader",
            metavar="NAME[=STREAM,...]",
            help="User that may read the results of these streams (default: of all streams)",
        ),
    ] = None,
    analysts: Annotated[
        list[str] | None,
        typer.Option("--analyst", metavar="NAME", help="User that may send queries and jobs"),
    ] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--tls",
            metavar="HOST",
            help="Name or address of the server: also write a private CA and a certificate for it",
        ),
    ] = None,
) -> None:
    """Write the users, permissions and passwords of a NATS server. Existing passwords are kept."""
    with reported():
        try:
            write_accounts(folder, users_of(devices or (), readers or (), analysts or ()))
            if hosts:
                _write_certificates(folder, hosts)
        except (ValueError, OSError) as error:
            raise CommandError(f"cannot write the accounts: {error}", USAGE) from error
    typer.echo(
        f"{folder}/accounts.conf and passwords.conf are for the server: include both in its "
        f"configuration. {folder}/passwords/NAME is for the user NAME."
    )


def _write_certificates(folder: Path, hosts: Iterable[str]) -> None:
    # Import here, because importing the driver takes longer than most commands run.
    from cwt_runtime.accounts.certificates import tls_config, write_certificates

    write_certificates(folder, hosts)
    typer.echo(
        f"{authority_file(folder)} is for all users. Add to the configuration of the server: "
        f"{tls_config(folder)}"
    )


def users_of(
    devices: Iterable[str], readers: Iterable[str], analysts: Iterable[str]
) -> tuple[User, ...]:
    """Parse user options such as ``icu`` or ``ward=icu,lab``.

    Raises
    ------
    ValueError
        The name of a user or of a stream is not valid.
    """
    return (
        *(_with_streams(device, option, by_name=True) for option in devices),
        *(_with_streams(reader, option, by_name=False) for option in readers),
        *map(analyst, analysts),
    )


def _with_streams(
    make: Callable[[str, Iterable[str]], User], option: str, *, by_name: bool
) -> User:
    name, separator, listed = option.partition("=")
    streams = split_names(listed) if separator else (name,) * by_name
    for each in (name, *streams):
        if not is_name(each):
            raise ValueError(f"{each!r} in {option!r} is not a name: use letters, digits, - and _")
    return make(name, streams)
