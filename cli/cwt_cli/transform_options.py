"""Options that `query` and `job submit` have in common; `publish` also resamples."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "BackendOption",
    "ColumnsOption",
    "DjOption",
    "LevelOption",
    "McCountOption",
    "MethodOption",
    "ParamOption",
    "RateOption",
    "ResampleOption",
    "SeedOption",
    "WaveletOption",
]

ColumnsOption = Annotated[str | None, typer.Option(help="which columns, such as ecg,abp")]
RateOption = Annotated[
    float | None, typer.Option(min=1e-9, help="Samples per second, whatever the file says")
]
ResampleOption = Annotated[
    float | None,
    typer.Option(
        min=1e-9,
        help="Rate in Hz to resample to (low-pass at the lower Nyquist frequency, flat up to 0.8 "
        "of it)",
    ),
]
DjOption = Annotated[float, typer.Option(min=1e-3, help="distance of scales in octaves")]
LevelOption = Annotated[float, typer.Option(help="of significance, for xwt and wct")]
WaveletOption = Annotated[str, typer.Option(metavar="morlet|paul|dog", help="which")]
ParamOption = Annotated[float, typer.Option(help="its order or frequency; -1: the usual one")]
MethodOption = Annotated[
    str, typer.Option(metavar="montecarlo|table", help="how the level is found")
]
McCountOption = Annotated[int, typer.Option(min=1, help="surrogate pairs")]
SeedOption = Annotated[int | None, typer.Option(help="of the surrogates")]
BackendOption = Annotated[str, typer.Option(help="where they are simulated")]
