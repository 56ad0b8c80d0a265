"""`pycwt-mod bench`: measure the speed of a worker of the running system, per backend."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer
from rich.table import Table

from cwt_cli.faults import CommandError
from cwt_cli.piped_console import PipedConsole
from cwt_cli.shell import command_log, run_command, server
from cwt_schemas.query import BenchmarkReply
from pycwt_client import connect

__all__ = ["bench", "timings_table"]


def bench(
    signal_length: Annotated[
        int, typer.Option("--length", min=32, help="Length of the signals in samples")
    ] = 1000,
    mc_count: Annotated[int, typer.Option(min=1, help="Surrogate pairs to simulate")] = 300,
    backends: Annotated[
        str | None,
        typer.Option(help="Backends, such as sequential,joblib (default: all available)"),
    ] = None,
) -> None:
    """Measure how long a worker takes for the coherence of two signals on each backend."""
    run_command(partial(_bench, signal_length, mc_count, backends))


async def _bench(signal_length: int, mc_count: int, backends: str | None) -> None:
    async with connect(server(), name="pycwt-mod bench", log=command_log(quiet=True)) as client:
        if backends is None:
            names = tuple(info.name for info in await client.backends() if info.available)
        else:
            names = tuple(name.strip() for name in backends.split(","))
        reply = await client.benchmark(signal_length, mc_count, names)
    PipedConsole().print(timings_table(reply), markup=False)
    without = [name for name, timing in reply.results.items() if timing.status != "ok"]
    if without:
        raise CommandError(f"cannot time {', '.join(without)}: see the errors above")


def timings_table(reply: BenchmarkReply) -> Table:
    """Return one line per backend."""
    title = f"coherence of {reply.signal_length} samples, level of {reply.mc_count} pairs"
    table = Table(title=title, title_justify="left", show_edge=False)
    for heading in ("backend", "status", "median", "against sequential", "differs by"):
        table.add_column(heading, justify="left" if heading in {"backend", "status"} else "right")
    for name, timing in reply.results.items():
        seconds, speedup, differs = (
            timing.computation_time, timing.speedup, timing.max_difference,
        )  # fmt: skip
        table.add_row(
            name,
            timing.status if timing.error is None else f"{timing.status}: {timing.error}",
            "" if seconds is None else f"{seconds * 1000:.1f} ms",
            "" if speedup is None else f"{speedup:.2f} x",
            "" if differs is None else f"{differs:.2g}",
        )
    return table
