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

ColumnsOption = Annotated[
    str | None, typer.Option(help="Columns to use, such as ecg,abp (default: all)")
]
RateOption = Annotated[
    float | None, typer.Option(min=1e-9, help="Sampling rate in Hz, overriding that of the file")
]
ResampleOption = Annotated[
    float | None,
    typer.Option(
        min=1e-9,
        help="Rate in Hz to resample to (low-pass at the lower Nyquist frequency, flat up to 0.8 "
        "of it)",
    ),
]
DjOption = Annotated[float, typer.Option(min=1e-3, help="Spacing of scales in octaves")]
LevelOption = Annotated[float, typer.Option(help="Significance level, for xwt and wct")]
WaveletOption = Annotated[str, typer.Option(metavar="morlet|paul|dog", help="Mother wavelet")]
ParamOption = Annotated[
    float, typer.Option(help="Order or frequency of the wavelet (-1: the default)")
]
MethodOption = Annotated[
    str, typer.Option(metavar="montecarlo|table", help="Method for the significance of coherence")
]
McCountOption = Annotated[int, typer.Option(min=1, help="Number of surrogate pairs")]
SeedOption = Annotated[int | None, typer.Option(help="Seed of the surrogates")]
BackendOption = Annotated[str, typer.Option(help="Monte Carlo backend")]
