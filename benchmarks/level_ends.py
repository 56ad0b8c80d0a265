"""Simulate the effect of a record's ends: ``python -m benchmarks.level_ends [--n-jobs N]``.

Compares white noise in records of `RECORD` samples, at scales from 1/64 of the record to the whole
record, with endless noise at the same scales. `pycwt_mod.significance.table.ends`
describes the file.
"""

from __future__ import annotations

import argparse

import joblib
import numpy as np
from numpy.typing import NDArray

from benchmarks.level_table import SEED, write_table
from pycwt_mod import MonteCarloPlan, Wavelet
from pycwt_mod.significance.simulation import quantile
from pycwt_mod.significance.surrogates import run_task
from pycwt_mod.significance.table import ends, level_table

#: Samples of a record; the smallest used scale is 1/64 of it, far from Nyquist.
RECORD = 4096
PAIRS = 4000
#: Octaves below and above the used scales, for their neighbours in the boxcar.
MARGIN = 2


def simulate(wavelet: Wavelet, voices: int, pairs: int) -> NDArray[np.float32]:
    """Return the exponents of the rows from n = s to n = 64 s, shape (rows, levels)."""
    octaves = ends.OCTAVES + 2 * MARGIN
    plan = MonteCarloPlan(
        al1=0.0, al2=0.0, dj=1 / voices, s0=RECORD / 2.0 ** (ends.OCTAVES + MARGIN),
        J=octaves * voices, wavelet=wavelet, mc_count=pairs, convention="standard",
        entropy=SEED, n=RECORD,
    )  # fmt: skip
    histograms = np.concatenate([sum(map(run_task, tasks)) for tasks in plan.tasks()])
    first = MARGIN * voices
    levels = np.array(
        [
            [quantile(row, p) for p in level_table.LEVELS]
            for row in histograms[first : first + ends.OCTAVES * voices + 1]
        ]
    )
    endless = level_table.LevelTable.of(wavelet, 1 / voices, "standard").middle[0, 0]
    found: NDArray[np.floating] = np.log1p(-levels) / np.log1p(-endless)
    return found.astype(np.float32)[::-1]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    given = parser.parse_args()
    names = {name: wavelet for wavelet, name in reversed(level_table.WAVELETS.items())}
    asked = [(name, voices) for voices in reversed(ends.VOICES) for name in names]
    pool = joblib.Parallel(n_jobs=given.n_jobs, batch_size=1)
    found = pool(joblib.delayed(simulate)(names[name], v, given.pairs) for name, v in asked)
    write_table(
        ends.FILE,
        {ends.ends_key(*key): rows for key, rows in zip(asked, found, strict=True)},
        made_by="python -m benchmarks.level_ends",
        pairs=given.pairs,
        record=RECORD,
    )


if __name__ == "__main__":
    main()
