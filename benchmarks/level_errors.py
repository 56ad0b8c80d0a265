"""Difference of tabulated levels from simulations: ``python -m benchmarks.level_errors``.

Prints one line per wavelet, number of voices, pair of noises and length of record: the largest
differences from a large simulation of the same case, near Nyquist and elsewhere, their root mean
square, and the largest standard error of that simulation. With ``--records`` the records have the
length of signals, `n`, and only scales with a point outside the cone of influence are compared.
"""

from __future__ import annotations

import argparse
from itertools import product

import joblib
import numpy as np

from pycwt_mod import DOG, Morlet, Paul, plan, wct_significance
from pycwt_mod.arrays import CONVENTIONS, Convention
from pycwt_mod.significance.table.level_table import nyquist_rows
from pycwt_mod.wavelets import Wavelet

WAVELETS: tuple[Wavelet, ...] = (Morlet(), Paul(), DOG(2), DOG(6))
NOISES = ((0.0, 0.0), (0.5, 0.5), (0.7, 0.3), (0.9, 0.2), (0.95, 0.95), (0.95, 0.0), (0.99, 0.99))
#: Voices per octave, number of octaves, and start of the scales in octaves above a period of two
#: samples; the record has 6 times the largest scale.
AXES = ((3, 9, 0.0), (4, 7, 0.4), (6, 8, 0.0), (12, 7, 0.0), (12, 7, 3.0))
PAIRS = 2000
#: Samples and voices per octave of records of the signals' length, and their noises.
RECORDS = ((60, 4), (200, 4), (200, 12), (2000, 6))
RECORD_NOISES = ((0.0, 0.0), (0.7, 0.3), (0.95, 0.95))
HEADINGS = (
    "wavelet", "1/dj", "convention", "AR(1)", "octaves", "start",
    "near Nyquist", "elsewhere", "RMS", "simulation",
)  # fmt: skip


def difference(
    wavelet: Wavelet,
    axis: tuple[int, int, float],
    convention: Convention,
    noises: tuple[float, float],
    level: float,
    pairs: int,
) -> tuple[float, float, float, float]:
    """Return the largest differences near Nyquist and elsewhere, RMS, and error of the simulation.

    Near Nyquist are the rows within `NYQUIST_OCTAVES` of a period of two samples.
    """
    voices, octaves, start = axis
    s0 = 2 / wavelet.fourier_factor * 2**start
    arguments = (*noises, 1.0, 1 / voices, s0, octaves * voices, level, wavelet)
    table = wct_significance(*arguments, convention=convention, method="table")
    simulated = wct_significance(*arguments, pairs, convention=convention, rng=7)
    off = np.abs(np.asarray(table) - np.asarray(simulated))
    near = nyquist_rows(voices, start)
    error = simulated.standard_error
    assert error is not None
    return (
        float(off[:near].max(initial=0.0)),
        float(np.nanmax(off[near:])),
        float(np.sqrt(np.nanmean(off**2))),
        float(np.nanmax(error)),
    )


def record_difference(
    wavelet: Wavelet, n: int, voices: int, noises: tuple[float, float], level: float, pairs: int
) -> tuple[float, float, float]:
    """Return the largest difference for `n` samples, the RMS, and the error of the simulation."""
    scales = plan(n, 1.0, 1 / voices, wavelet=wavelet).scales
    arguments = (*noises, 1.0, 1 / voices, float(scales[0]), len(scales) - 1, level, wavelet)
    table = wct_significance(*arguments, method="table", n=n)
    simulated = wct_significance(*arguments, pairs, rng=7, n=n)
    outside = 2 * wavelet.efolding * scales < n
    off = (np.asarray(table) - np.asarray(simulated))[outside]
    error = simulated.standard_error
    assert error is not None
    return float(np.abs(off).max()), float(np.sqrt(np.mean(off**2))), float(error[outside].max())


def wavelet_label(wavelet: Wavelet) -> str:
    """Return the name of a wavelet with its parameter."""
    return f"{wavelet.name} {getattr(wavelet, 'm', getattr(wavelet, 'f0', '')):g}"


def records(pool: joblib.Parallel, level: float, pairs: int) -> None:
    """Print the errors of records of the signals' length."""
    headings = ("wavelet", "1/dj", "n", "AR(1)", "largest", "RMS", "simulation")
    print(f"| {' | '.join(headings)} |")
    print("|---" * len(headings) + "|")
    cases = [
        (wavelet, n, voices, noises)
        for wavelet, (n, voices), noises in product(WAVELETS, RECORDS, RECORD_NOISES)
    ]
    errors = pool(joblib.delayed(record_difference)(*case, level, pairs) for case in cases)
    for (wavelet, n, voices, noises), numbers in zip(cases, errors, strict=True):
        cells = [wavelet_label(wavelet), voices, n, "{}, {}".format(*noises)]
        print("|", " | ".join([*map(str, cells), *(f"{x:.4f}" for x in numbers)]), "|", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--level", type=float, default=0.95)
    parser.add_argument(
        "--records", action="store_true", help="compare records of the signals' length"
    )
    given = parser.parse_args()
    pool = joblib.Parallel(n_jobs=given.n_jobs, return_as="generator")
    if given.records:
        records(pool, given.level, given.pairs)
        return
    cases = list(product(WAVELETS, AXES, CONVENTIONS, NOISES))
    errors = pool(joblib.delayed(difference)(*case, given.level, given.pairs) for case in cases)
    print(f"| {' | '.join(HEADINGS)} |")
    print("|---" * len(HEADINGS) + "|")
    for (wavelet, (voices, octaves, start), convention, noises), numbers in zip(
        cases, errors, strict=True
    ):
        cells = [wavelet_label(wavelet), voices, convention, "{}, {}".format(*noises)]
        cells += [octaves, start]
        print("|", " | ".join([*map(str, cells), *(f"{x:.4f}" for x in numbers)]), "|", flush=True)


if __name__ == "__main__":
    main()
