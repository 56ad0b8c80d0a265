"""`pycwt-mod export`: save a whole analysis of a stream to a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cwt_cli.faults import USAGE, CommandError
from cwt_cli.names import checked_name, split_names
from cwt_cli.query_picture import check_picture
from cwt_cli.shell import command_log, run_command, server
from pycwt_client import Export, connect

__all__ = ["export"]

Save = Callable[[Export, Path], None]


def export(
    stream: Annotated[
        str,
        typer.Argument(
            metavar="STREAM", help="Name of the stream, running or ended", callback=checked_name
        ),
    ],
    analysis: Annotated[
        str | None,
        typer.Argument(
            metavar="ANALYSIS", help="Analysis of the stream (default: its only analysis)"
        ),
    ] = None,
    npz: Annotated[Path | None, typer.Option(help="NumPy archive to write")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Text file to write, with one line per value")
    ] = None,
    netcdf: Annotated[Path | None, typer.Option(help="netCDF file to write")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Picture to draw (.png, .pdf or .svg; needs matplotlib)")
    ] = None,
    channels: Annotated[
        str | None, typer.Option(help="Only this channel or pair, such as C3,C4 (default: all)")
    ] = None,
    epoch: Annotated[
        str | None, typer.Option(help="Run of the device (default: the newest with results)")
    ] = None,
    around: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="With --npz: only the segments around markers with this text, or a pattern such "
            "as 'Stimulus/*'",
        ),
    ] = None,
    before: Annotated[float, typer.Option(help="With --around: seconds before each marker")] = 1.0,
    after: Annotated[float, typer.Option(help="With --around: seconds after each marker")] = 1.0,
    step: Annotated[
        float | None,
        typer.Option(
            min=1e-9, help="Seconds between times (default: as computed for the highest octave)"
        ),
    ] = None,
) -> None:
    """Save the stored results of a stream, with axes, mask, thresholds, markers and provenance."""
    if around is not None and (npz is None or [csv, netcdf, plot] != [None] * 3):
        raise typer.BadParameter("--around needs --npz FILE, and excludes other files")
    files: list[tuple[Path | None, Save]] = [
        (npz, Export.save_npz if around is None else partial(_save_epochs, around, before, after)),
        (csv, Export.save_csv),
        (netcdf, Export.save_netcdf),
        (plot, Export.save_picture),
    ]
    outputs = [(path, save) for path, save in files if path is not None]
    if not outputs:
        raise typer.BadParameter("no output: give --npz, --csv, --netcdf or --plot with a FILE")
    names = None if channels is None else split_names(channels)
    run_command(partial(_export, stream, analysis, epoch, names, step, outputs, plot))


async def _export(
    stream: str,
    analysis: str | None,
    epoch: str | None,
    channels: tuple[str, ...] | None,
    step_s: float | None,
    outputs: list[tuple[Path, Save]],
    picture: Path | None,
) -> None:
    if picture is not None:
        check_picture(picture)
    log = command_log(quiet=True)
    async with connect(server(), name="pycwt-mod export", log=log) as client:
        export = await client.export(
            stream, analysis, epoch=epoch, channels=channels, step_s=step_s
        )
    for path, save in outputs:
        try:
            save(export, path)
        except ValueError as error:
            raise CommandError(f"cannot write {path}: {error}", USAGE) from None
        typer.echo(f"{path}: {summary(export)}")
    if export.windows_waiting:
        typer.echo(
            f"{export.windows_waiting} windows are not computed yet: export again later to include "
            "them"
        )


def _save_epochs(text: str, before_s: float, after_s: float, export: Export, path: Path) -> None:
    export.epochs(text, before_s=before_s, after_s=after_s).save_npz(path)


def summary(export: Export) -> str:
    """Describe the exported data in one line."""
    sets, k, n = export.values.shape
    named = "; ".join(export.labels[:4]) + ("; ..." if sets > 4 else "")
    covered = f"{export.times_s[0]:g} to {export.times_s[-1]:g} s"
    return (
        f"{export.analysis} of {named}, epoch {export.epoch}: {k} frequencies, {n} times, "
        f"{covered}, {len(export.markers)} markers"
    )
