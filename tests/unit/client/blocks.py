"""Results made by hand."""

from __future__ import annotations

import numpy as np

from cwt_schemas.live import AnalysisResult, Engine, InputSpan, ResultTimes, TimeAxis


def block(
    octave: int,
    first: int,
    *,
    step: int | None = None,
    n: int = 4,
    value: float | None = None,
    epoch: str = "e",
    stream: str = "s",
    masked: bool = False,
    fs_hz: float | None = None,
    spec_hash: str = "0" * 16,
) -> AnalysisResult:
    """A block of two rows whose values are the sample positions, unless `value` says else."""
    step = 2**octave if step is None else step
    columns = first + step * np.arange(n, dtype=np.float64)
    row = columns if value is None else np.full(n, value)
    freqs = np.array([8.0, 6.0]) / 2**octave
    return AnalysisResult(
        id=f"{stream}/{epoch}/a/x:y/{octave}/{first}",
        stream=stream,
        epoch=epoch,
        analysis="a",
        op="wct",
        channels=("x", "y"),
        octave=octave,
        freqs_hz=freqs,
        scales_s=1 / freqs,
        t=TimeAxis(first_sample=first, step=step, n=n),
        fs_hz=fs_hz,
        values=np.stack([row, row + 0.5]),
        phase=np.stack([row, row]) / 100,
        signif=np.array([0.7, 0.8]),
        mask=np.ones((2, n), dtype=bool) if masked else None,
        input=InputSpan(first_sample=first, n_samples=n * step),
        spec_hash=spec_hash,
        engine=Engine(library="l", version="1", backend="b", worker="w"),
        times_ns=ResultTimes(
            received=1_000_000_000, windowed=1_100_000_000, computed=1_250_000_000
        ),
    )
