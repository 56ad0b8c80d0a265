"""The command `pycwt-mod`, also ``python -m cwt_cli``."""

from __future__ import annotations

from typing import Annotated

import typer

from cwt_cli.access_keys import key
from cwt_cli.accounts import accounts
from cwt_cli.audit import audit
from cwt_cli.bench import bench
from cwt_cli.demo import demo
from cwt_cli.describe import describe_command
from cwt_cli.doctor import doctor
from cwt_cli.export import export
from cwt_cli.help_examples import EXAMPLES, examples
from cwt_cli.hw import hw
from cwt_cli.job import job
from cwt_cli.mark import mark
from cwt_cli.publish import publish
from cwt_cli.query import query
from cwt_cli.stream import stream
from cwt_cli.up import up
from cwt_cli.watch import watch
from pycwt_mod._version import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    name="pycwt-mod",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog=(
        "Commands that need a running system connect to the NATS server in CWT_NATS_URL, by "
        "default nats://127.0.0.1:4222, as the user in CWT_NATS_USER with the password in the "
        "file CWT_NATS_PASSWORD_FILE, or with the credentials file CWT_NATS_CREDS. More variables "
        "CWT_NATS_* set a token, an nkey, TLS, an inbox prefix and a JetStream domain: see "
        "docs/settings.md."
    ),
)
app.command("describe", epilog=examples("describe"))(describe_command)
for command in (up, demo, publish, mark, watch, export, query, bench, doctor, accounts, audit):
    name = command.__name__
    app.command(name, epilog=examples(name) if name in EXAMPLES else None)(command)
app.add_typer(stream)
app.add_typer(job)
app.add_typer(key)
app.add_typer(hw)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"pycwt-mod {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version"),
    ] = False,
) -> None:
    """Wavelet analysis of live and recorded signals on a message bus."""
    del version


def main() -> None:
    """Run the command line."""
    app(prog_name="pycwt-mod")


if __name__ == "__main__":
    main()
