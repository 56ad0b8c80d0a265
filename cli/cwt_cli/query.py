"""`pycwt-mod query`: a transform or a level of what is in files, from whichever worker is free."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import numpy as np
import orjson
import typer
from numpy.typing import NDArray

from cwt_cli.answer_text import json_of, summary
from cwt_cli.faults import USAGE, CommandError
from cwt_cli.query_picture import check_picture, draw_answer, draw_level
from cwt_cli.shell import command_log, run_command, server_url
from cwt_cli.transform_options import (
    BackendOption,
    ColumnsOption,
    DjOption,
    LevelOption,
    McCountOption,
    MethodOption,
    ParamOption,
    RateOption,
    SeedOption,
    WaveletOption,
)
from cwt_runtime.analysis import wavelet_of
from cwt_schemas.query import LevelMethod, SignificanceReply
from cwt_schemas.stream import Convention, Wavelet
from pycwt_client import Client, connect
from pycwt_client.jobs import Answer
from pycwt_client.sources.csv_file import read_recording
from pycwt_mod import CwtPlan, ar1, plan

__all__ = ["Query", "check_choices", "query", "read_signals"]

Op = Literal["cwt", "xwt", "wct", "significance"]
#: What the options take that take nothing else.
CHOICES = {
    "wavelet": get_args(Wavelet),
    "convention": get_args(Convention),
    "method": get_args(LevelMethod),
}
Signals = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked."""

    op: Op
    signals: Signals
    fs_hz: float
    dj: float = 0.25
    level: float = 0.95
    wavelet: Wavelet = "morlet"
    param: float = -1
    convention: Convention = "standard"
    method: LevelMethod = "montecarlo"
    mc_count: int = 300
    seed: int | None = None
    backend: str = "sequential"
    fallback: bool = False

    async def ask(self, client: Client) -> Answer:
        """Return the answer of whichever worker is free."""
        signals, dt = list(self.signals.values()), 1 / self.fs_hz
        if self.op == "cwt":
            return await client.cwt(
                signals[0], dt, self.dj, wavelet=self.wavelet, param=self.param,
                convention=self.convention,
            )  # fmt: skip
        if self.op == "xwt":
            return await client.xwt(
                signals[0], signals[1], dt, self.dj, significance_level=self.level,
                wavelet=self.wavelet, param=self.param, convention=self.convention,
            )  # fmt: skip
        if self.op == "significance":
            return await self._ask_for_level(client, dt)
        return await client.wct(
            signals[0], signals[1], dt, self.dj, significance_level=self.level,
            wavelet=self.wavelet, param=self.param, convention=self.convention,
            method=self.method, mc_count=self.mc_count, seed=self.seed, backend=self.backend,
            fallback=self.fallback,
        )  # fmt: skip

    async def _ask_for_level(self, client: Client, dt: float) -> Answer:
        """Ask for the level that the coherence of these signals would be given."""
        al1, al2 = (lag1(name, signal) for name, signal in self.signals.items())
        analysis = self.plan()
        scales = analysis.scales
        s0, J = float(scales[0]), len(scales) - 1
        return await client.significance(
            al1, al2, dt, self.dj, s0, J, self.level, wavelet=self.wavelet, param=self.param,
            n=analysis.n, convention=self.convention, method=self.method, mc_count=self.mc_count,
            seed=self.seed, backend=self.backend, fallback=self.fallback,
        )  # fmt: skip

    def plan(self) -> CwtPlan:
        """Return the scales that a coherence of these signals has."""
        n = len(next(iter(self.signals.values())))
        wavelet = wavelet_of(self.wavelet, self.param)
        return plan(n, 1 / self.fs_hz, self.dj, wavelet=wavelet, convention=self.convention)


def lag1(name: str, signal: NDArray[np.float32]) -> float:
    """Return the lag-1 coefficient of a signal.

    Raises
    ------
    CommandError
        It has none: the signal is constant, or almost all of it is missing.
    """
    try:
        return float(ar1(np.where(np.isfinite(signal), signal, np.nan)).g)
    except ValueError as error:
        raise CommandError(f"{name}: {error}") from error


def read_signals(
    op: Op, files: list[Path], columns: str | None, fs_hz: float | None
) -> tuple[Signals, float]:
    """Return the signals that `op` takes, by name, and their rate.

    Raises
    ------
    CommandError
        Too few or too many of them, different lengths or rates, or a rate that nobody says.
    """
    recordings = [read_recording(path) for path in files]
    if columns is not None:
        chosen = tuple(name.strip() for name in columns.split(","))
        recordings = [each.selected(chosen) for each in recordings]
    found: Signals = {}
    for path, each in zip(files, recordings, strict=True):
        for place, name in enumerate(each.columns):
            known = name in found
            found[f"{path.name}:{name}" if known else name] = each.samples[:, place]
    wanted = 1 if op == "cwt" else 2
    if len(found) != wanted:
        raise CommandError(
            f"{op} takes {wanted} of the columns {', '.join(found)}: choose with --columns", USAGE
        )
    lengths = {len(signal) for signal in found.values()}
    if len(lengths) > 1:
        raise CommandError(f"the signals have {sorted(lengths)} samples: equal ones are expected")
    rates = {fs_hz} if fs_hz else {each.fs_hz for each in recordings}
    if rates == {None} or len(rates) > 1:
        raise CommandError("the files do not agree on a sampling rate: give it with --fs", USAGE)
    return found, cast("float", rates.pop())


def query(
    op: Annotated[str, typer.Argument(metavar="cwt|xwt|wct|significance", help="what")],
    files: Annotated[list[Path], typer.Argument(help="CSV files, one row per sample")],
    columns: ColumnsOption = None,
    fs: RateOption = None,
    dj: DjOption = 0.25,
    level: LevelOption = 0.95,
    wavelet: WaveletOption = "morlet",
    param: ParamOption = -1,
    convention: Annotated[str, typer.Option(metavar="standard|pycwt", help="")] = "standard",
    method: MethodOption = "montecarlo",
    mc_count: McCountOption = 300,
    seed: SeedOption = None,
    backend: BackendOption = "sequential",
    fallback: Annotated[
        bool, typer.Option("--fallback", help="take sequential if that is not available")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="draw the answer to this file")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the whole answer")] = False,
) -> None:
    """Ask for the transform of one signal or two in CSV files, or for the level of two."""
    if op not in get_args(Op):
        raise typer.BadParameter(f"{', '.join(get_args(Op))} are possible, not {op!r}")
    check_choices(wavelet=wavelet, convention=convention, method=method)

    def given() -> Query:
        signals, fs_hz = read_signals(cast("Op", op), files, columns, fs)
        return Query(
            op=cast("Op", op), signals=signals, fs_hz=fs_hz, dj=dj, level=level,
            wavelet=cast("Wavelet", wavelet), param=param,
            convention=cast("Convention", convention), method=cast("LevelMethod", method),
            mc_count=mc_count, seed=seed, backend=backend, fallback=fallback,
        )  # fmt: skip

    async def work() -> None:
        if plot is not None:
            check_picture(plot)
        await _query(given(), plot, as_json=as_json)

    run_command(work)


def check_choices(**given: str) -> None:
    """Refuse a value that is none of its option's choices.

    Raises
    ------
    typer.BadParameter
        With those that are possible.
    """
    for option, value in given.items():
        possible = CHOICES[option]
        if value not in possible:
            raise typer.BadParameter(f"--{option} is one of {', '.join(possible)}, not {value!r}")


async def _query(query: Query, plot: Path | None, *, as_json: bool) -> None:
    log = command_log(quiet=True)
    async with connect(server_url(), name="pycwt-mod query", log=log) as client:
        answer = await query.ask(client)
    if plot is not None:
        if isinstance(answer, SignificanceReply):
            draw_level(answer.signif, query.plan().freqs, tuple(query.signals), plot)
        else:
            draw_answer(answer, tuple(query.signals), query.fs_hz, plot)
    if as_json:
        option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
        sys.stdout.buffer.write(orjson.dumps(json_of(answer), option=option))
        return
    typer.echo(summary(answer, tuple(query.signals)))
    if plot is not None:
        typer.echo(f"Picture: {plot}")
