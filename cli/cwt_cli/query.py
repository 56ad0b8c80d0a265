"""`pycwt-mod query`: compute transforms or significance levels of files on a worker."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

import numpy as np
import orjson
import typer

from cwt_cli.answer_text import json_of, summary
from cwt_cli.faults import USAGE, CommandError
from cwt_cli.query_picture import check_picture, draw_answer, draw_level
from cwt_cli.recordings import read_named, short_name
from cwt_cli.shell import command_log, run_command, server
from cwt_cli.transform_options import (
    BackendOption,
    ChannelsOption,
    McCountOption,
    MethodOption,
    ParamOption,
    RateOption,
    ResampleOption,
    SeedOption,
    SignificanceLevelOption,
    WaveletOption,
)
from cwt_runtime.analysis import wavelet_of
from cwt_schemas.analysis import Convention, Wavelet
from cwt_schemas.query import LevelMethod, SignificanceReply
from pycwt_client import Client, connect
from pycwt_client.jobs import Answer
from pycwt_client.sources.csv_file import Real
from pycwt_mod import CwtPlan, ar1, plan

__all__ = ["Query", "check_choices", "query", "read_signals"]

Op = Literal["cwt", "xwt", "wct", "pwct", "mwct", "significance"]
#: Octaves between scales, as in the library and in `pycwt_client`; a request without it takes 0.25.
OCTAVE_STEP = 1 / 12
#: Choices of the options.
CHOICES = {
    "wavelet": get_args(Wavelet),
    "convention": get_args(Convention),
    "method": get_args(LevelMethod),
}
#: Fewest signals of each operation; partial and multiple coherence take more.
LEAST_SIGNALS: dict[Op, int] = {
    "cwt": 1, "xwt": 2, "wct": 2, "pwct": 3, "mwct": 2, "significance": 2,
}  # fmt: skip
Signals = dict[str, Real]


@dataclass(frozen=True, kw_only=True)
class Query:
    """The parsed command line."""

    op: Op
    signals: Signals
    fs_hz: float
    dj: float = OCTAVE_STEP
    level: float = 0.95
    wavelet: Wavelet = "morlet"
    param: float = -1
    convention: Convention = "standard"
    method: LevelMethod = "montecarlo"
    mc_count: int = 300
    seed: int | None = None
    backend: str = "sequential"
    fallback: bool = False
    deltaj0: float | None = None

    async def ask(self, client: Client) -> Answer:
        """Send the request to a free worker and return the answer."""
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
        if self.op == "pwct":
            return await client.pwct(
                signals[0], signals[1], np.stack(signals[2:]), dt, **self._joint_options()
            )
        if self.op == "mwct":
            return await client.mwct(signals[0], np.stack(signals[1:]), dt, **self._joint_options())
        return await client.wct(
            signals[0], signals[1], dt, self.dj, significance_level=self.level,
            wavelet=self.wavelet, param=self.param, convention=self.convention,
            method=self.method, mc_count=self.mc_count, seed=self.seed, backend=self.backend,
            fallback=self.fallback,
        )  # fmt: skip

    def _joint_options(self) -> dict[str, Any]:
        return {
            "dj": self.dj, "significance_level": self.level, "wavelet": self.wavelet,
            "param": self.param, "convention": self.convention, "mc_count": self.mc_count,
            "seed": self.seed, "backend": self.backend, "fallback": self.fallback,
            "deltaj0": self.deltaj0,
        }  # fmt: skip

    async def _ask_for_level(self, client: Client, dt: float) -> Answer:
        """Return the significance level of the coherence of these signals."""
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
        """Return the scales of the coherence of these signals."""
        n = len(next(iter(self.signals.values())))
        wavelet = wavelet_of(self.wavelet, self.param)
        return plan(n, 1 / self.fs_hz, self.dj, wavelet=wavelet, convention=self.convention)


def lag1(name: str, signal: Real) -> float:
    """Return the lag-1 coefficient of a signal.

    Raises
    ------
    CommandError
        The signal is constant, or almost all of it is missing.
    """
    try:
        return float(ar1(np.where(np.isfinite(signal), signal, np.nan)).g)
    except ValueError as error:
        raise CommandError(f"{name}: {error}") from error


async def read_signals(
    op: Op,
    files: list[str],
    channels: str | None,
    fs_hz: float | None = None,
    resample_hz: float | None = None,
) -> tuple[Signals, float]:
    """Read the signals for `op`; return them by name, and their rate in Hz.

    Raises
    ------
    CommandError
        Too few or too many signals, different lengths or rates, or an unknown rate.
    """
    recordings = [await read_named(name, channels, fs_hz, resample_hz) for name in files]
    signals: Signals = {}
    for file, each in zip(files, recordings, strict=True):
        for place, name in enumerate(each.info.channel_names):
            known = name in signals
            signals[f"{short_name(file)}:{name}" if known else name] = each.samples[:, place]
    count, more = LEAST_SIGNALS[op], op in ("pwct", "mwct")
    if len(signals) < count or (len(signals) > count and not more):
        raise CommandError(
            f"{op} takes {count}{' or more' if more else ''} of the channels "
            f"{', '.join(signals)}: select with --channels",
            USAGE,
        )
    rate = common_rate({n: r.info.fs_hz for n, r in zip(files, recordings, strict=True)})
    lengths = {len(signal) for signal in signals.values()}
    if len(lengths) > 1:
        raise CommandError(
            f"the signals have different lengths ({sorted(lengths)} samples): use "
            "signals of the same length"
        )
    return signals, rate


def common_rate(rates: Mapping[str, float]) -> float:
    """Return the sampling rate of all files.

    Raises
    ------
    CommandError
        The files have different rates.
    """
    if len(set(rates.values())) > 1:
        stated = ", ".join(f"{name} {fs_hz:g} Hz" for name, fs_hz in rates.items())
        lowest = min(rates.values())
        raise CommandError(
            f"the files have different sampling rates ({stated}): resample them with --resample "
            f"{lowest:g}",
            USAGE,
        )
    return next(iter(rates.values()))


def query(
    op: Annotated[
        str,
        typer.Argument(
            metavar="cwt|xwt|wct|pwct|mwct|significance", help="Transform to compute, see above"
        ),
    ],
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="Recordings: FILE, or KIND:FILE as for publish --source"
        ),
    ],
    channels: ChannelsOption = None,
    fs: RateOption = None,
    resample: ResampleOption = None,
    dj: Annotated[
        float,
        typer.Option(min=1e-3, help="Spacing of the scales in octaves", show_default="1/12"),
    ] = OCTAVE_STEP,
    significance_level: SignificanceLevelOption = 0.95,
    wavelet: WaveletOption = "morlet",
    param: ParamOption = -1,
    convention: Annotated[
        str,
        typer.Option(
            metavar="standard|pycwt",
            help="Normalisation, scales and smoothing: of the papers, or of pycwt",
        ),
    ] = "standard",
    method: MethodOption = "montecarlo",
    mc_count: McCountOption = 300,
    seed: SeedOption = None,
    backend: BackendOption = "sequential",
    fallback: Annotated[
        bool,
        typer.Option(
            "--fallback", help="Use the backend sequential if the chosen one is not available"
        ),
    ] = False,
    deltaj0: Annotated[
        float | None,
        typer.Option(
            min=1e-3,
            help="Width of the smoothing over scales of pwct and mwct, in octaves",
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture to draw (.png, .pdf or .svg)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole reply as JSON")] = False,
) -> None:
    """Compute a transform of recorded signals on a worker.

    cwt is the wavelet transform of one signal, xwt the cross wavelet transform of two, and wct
    their coherence. pwct is the partial coherence of the first two signals given the others, and
    mwct the multiple coherence of the first signal with all others. significance is the threshold
    of wct.
    """
    if op not in get_args(Op):
        raise typer.BadParameter(
            f"the operation must be one of {', '.join(get_args(Op))}, not {op!r}"
        )
    check_choices(wavelet=wavelet, convention=convention, method=method)

    async def read_query() -> Query:
        signals, fs_hz = await read_signals(cast("Op", op), files, channels, fs, resample)
        return Query(
            op=cast("Op", op), signals=signals, fs_hz=fs_hz, dj=dj, level=significance_level,
            wavelet=cast("Wavelet", wavelet), param=param,
            convention=cast("Convention", convention), method=cast("LevelMethod", method),
            mc_count=mc_count, seed=seed, backend=backend, fallback=fallback, deltaj0=deltaj0,
        )  # fmt: skip

    async def work() -> None:
        if plot is not None:
            check_picture(plot)
        await _query(await read_query(), plot, as_json=as_json)

    run_command(work)


def check_choices(**options: str) -> None:
    """Reject a value that is not one of the choices of its option.

    Raises
    ------
    typer.BadParameter
        The value is not valid; the message lists the choices.
    """
    for option, value in options.items():
        possible = CHOICES[option]
        if value not in possible:
            raise typer.BadParameter(
                f"--{option} must be one of {', '.join(possible)}, not {value!r}"
            )


async def _query(query: Query, plot: Path | None, *, as_json: bool) -> None:
    log = command_log(quiet=True)
    async with connect(server(), name="pycwt-mod query", log=log) as client:
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
