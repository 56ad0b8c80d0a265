"""Options that `query` and `job submit` have in common; `publish` also resamples."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "BackendOption",
    "ChannelsOption",
    "DjOption",
    "McCountOption",
    "MethodOption",
    "ParamOption",
    "RateOption",
    "ResampleOption",
    "SeedOption",
    "SignificanceLevelOption",
    "WaveletOption",
]

ChannelsOption = Annotated[
    str | None, typer.Option(help="Channels to use, such as ecg,abp (default: all)")
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
DjOption = Annotated[float, typer.Option(min=1e-3, help="Spacing of the scales in octaves")]
SignificanceLevelOption = Annotated[
    float, typer.Option(help="Significance level, for xwt and coherence")
]
WaveletOption = Annotated[str, typer.Option(metavar="morlet|paul|dog", help="Mother wavelet")]
ParamOption = Annotated[
    float,
    typer.Option(
        help="Parameter of the wavelet: frequency of morlet, order of paul and dog (-1: default)"
    ),
]
MethodOption = Annotated[
    str, typer.Option(metavar="montecarlo|table", help="How the threshold of coherence is computed")
]
McCountOption = Annotated[
    int, typer.Option(min=1, help="Surrogate pairs to simulate, with montecarlo")
]
SeedOption = Annotated[
    int | None,
    typer.Option(help="Seed of the simulation, for a reproducible threshold (default: random)"),
]
BackendOption = Annotated[
    str, typer.Option(help="Backend that simulates: sequential, joblib, cluster or a device")
]
