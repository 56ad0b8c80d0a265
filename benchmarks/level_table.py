"""Simulate the table of levels for white noise: ``python -m benchmarks.level_table [--n-jobs N]``.

`benchmarks.level_errors` measures the errors for other noises and records.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from pycwt_mod import __version__
from pycwt_mod.arrays import CONVENTIONS, Convention
from pycwt_mod.significance.simulation import (
    ALGORITHM_VERSION,
    quantile,
    standard_error,
    surrogate_octave,
)
from pycwt_mod.significance.surrogates import SurrogateOctave, SurrogateTask, run_task
from pycwt_mod.significance.table import level_table
from pycwt_mod.smoothing import ScaleBoxcar
from pycwt_mod.wavelets import Wavelet

SEED = 20_260_101
#: Surrogate pairs of records, from the uppermost octave down; the error still decreases.
RECORD_PAIRS = (12_000, 6_000, 3_000, 3_000)
#: Pairs of endless noise of 64 largest scales each, divided by the octaves that the boxcar spans,
#: because a wider boxcar averages more noise.
ENDLESS_PAIRS = 4_000
CHUNKS = 20
#: Smallest scale in samples; its band lies far below Nyquist.
SMALLEST = 16.0
FOLDER = Path(level_table.__file__).parent


def simulate(
    wavelet: Wavelet, convention: Convention, voices: int, shorter: int = 1
) -> NDArray[np.uint16]:
    """Return all rows of one analysis in the order of a `LevelTable`, in its `UNIT`."""
    boxcar = ScaleBoxcar.of(wavelet.deltaj0, 1 / voices, convention)
    below, above = -boxcar.first, boxcar.last
    octaves = math.ceil((above + below + 1) / voices)
    pairs = ENDLESS_PAIRS // octaves // shorter
    endless = _chunks(_endless_rows(wavelet, boxcar, voices), pairs, len(RECORD_PAIRS))
    n_rows = endless.shape[1]
    found = [endless[:, i] for i in range(below)]
    found.append(endless[:, below : n_rows - above].sum(axis=1))
    found += [endless[:, n_rows - 1 - i] for i in range(above)]
    for octave, count in enumerate(RECORD_PAIRS):
        rows = _record_rows(wavelet, convention, boxcar, voices, octave)
        ending = _chunks(rows, count // shorter, octave)
        found += [ending[:, i] for i in reversed(range(ending.shape[1]))]
    for number, start in enumerate(level_table.NYQUIST_STARTS, len(RECORD_PAIRS) + 1):
        low = _chunks(_nyquist_rows(wavelet, boxcar, voices, start), pairs, number)
        found += [low[:, i] for i in range(low.shape[1])]
    return _levels(found)


def _levels(found: list[NDArray[np.int64]]) -> NDArray[np.uint16]:
    """Return levels and errors of rows of histograms, each of shape (chunks, bins)."""
    levels = np.array([[quantile(row.sum(axis=0), p) for p in level_table.LEVELS] for row in found])
    errors = [
        [standard_error(row, at) for at in at_row]
        for row, at_row in zip(found, levels, strict=True)
    ]
    # Without a count near a level, the error cannot be estimated and is set to 1.
    stated = np.nan_to_num(np.array(errors), nan=1.0)
    return np.round(np.stack([levels, stated]) / level_table.UNIT).astype(np.uint16)


def _endless_rows(wavelet: Wavelet, boxcar: ScaleBoxcar, voices: int) -> SurrogateOctave:
    count = boxcar.last - boxcar.first + 1
    scales = tuple(float(s) for s in SMALLEST * 2 ** (np.arange(count) / voices))
    return surrogate_octave(wavelet, scales, (0, count), boxcar, 0.0, 0.0)


def _nyquist_rows(
    wavelet: Wavelet, boxcar: ScaleBoxcar, voices: int, start: float
) -> SurrogateOctave:
    """Return rows from `start` octaves above a period of two samples to the end of its effect."""
    smallest = 2 / wavelet.fourier_factor * 2**start
    keep = level_table.nyquist_rows(voices, start) - boxcar.first
    scales = tuple(float(s) for s in smallest * 2 ** (np.arange(keep + boxcar.last) / voices))
    return surrogate_octave(wavelet, scales, (0, keep), boxcar, 0.0, 0.0)


def _record_rows(
    wavelet: Wavelet, convention: Convention, boxcar: ScaleBoxcar, voices: int, octave: int
) -> SurrogateOctave:
    """Return the rows of the octave at `octave` octaves below the uppermost one."""
    largest = SMALLEST * 2 ** (len(RECORD_PAIRS) + 1)
    top = octave * voices
    bottom = min(top + voices, level_table.top_rows(voices))
    first, last = bottom - 1 - boxcar.first, max(0, top - boxcar.last)
    below_top = np.arange(first, last - 1, -1)
    scales = tuple(float(s) for s in largest * 2.0 ** (-below_top / voices))
    keep = (first - bottom + 1, first - top + 1)
    return surrogate_octave(
        wavelet, scales, keep, boxcar, 0.0, 0.0,
        record=math.ceil(6 * largest), centred=convention == "standard",
    )  # fmt: skip


def _chunks(rows: SurrogateOctave, pairs: int, number: int) -> NDArray[np.int64]:
    """Return the histograms of `CHUNKS` tasks; shape (chunks, rows, bins)."""
    each = max(1, pairs // CHUNKS)
    tasks = (
        SurrogateTask(rows=rows, pairs=each, entropy=SEED, spawn_key=(number, chunk))
        for chunk in range(CHUNKS)
    )
    return np.stack([run_task(task) for task in tasks])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--shorter", type=int, default=1, help="divisor of the number of pairs")
    given = parser.parse_args()
    names = {name: wavelet for wavelet, name in reversed(level_table.WAVELETS.items())}
    asked = [
        (name, convention, voices)
        for voices in reversed(level_table.VOICES)
        for name in names
        for convention in CONVENTIONS
    ]
    pool = joblib.Parallel(n_jobs=given.n_jobs, batch_size=1)
    found = pool(
        joblib.delayed(simulate)(names[name], convention, voices, given.shorter)
        for name, convention, voices in asked
    )
    write_table(
        level_table.FILE,
        {level_table.file_key(*key): rows for key, rows in zip(asked, found, strict=True)},
        made_by="python -m benchmarks.level_table",
        record_pairs=[pairs // given.shorter for pairs in RECORD_PAIRS],
        endless_pairs=ENDLESS_PAIRS // given.shorter,
        levels=level_table.LEVELS,
    )


def write_table(
    file: str, arrays: dict[str, NDArray[Any]], *, made_by: str, **facts: object
) -> None:
    """Write the arrays of a table, with `facts` about their simulation and the versions."""
    provenance = {
        "library": __version__, "algorithm": ALGORITHM_VERSION, "numpy": np.__version__,
        "seed": SEED, **facts, "made_by": made_by,
    }  # fmt: skip
    everything: dict[str, Any] = {"provenance": np.array(json.dumps(provenance)), **arrays}
    np.savez_compressed(FOLDER / file, **everything)


if __name__ == "__main__":
    main()
