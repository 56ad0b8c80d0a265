"""Error and masked area of gaps: ``python -m benchmarks.gap_masks`` writes the page.

Transforms noise with and without missing samples. For every rule, the table has the fraction of
masked values outside the cone of influence of the record's ends and the error of the other
values: for coefficients relative to the RMS of their row, for coherence in absolute terms.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pycwt_mod import CwtResult, WctResult, cwt, inside_cone, rednoise, wct
from pycwt_mod.arrays import MASK_THRESHOLD, GapFill

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks-gaps.md"
SAMPLES = 1000
SEEDS = 10
#: None selects the cone of influence of every missing sample.
THRESHOLDS = (None, 0.01, 0.02, 0.05, 0.1, 0.2)
NOISES = (0.0, 0.7, 0.95)
FILLS: tuple[GapFill, ...] = (None, "linear")

Analysis = Literal["cwt", "wct"]
Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]
Pattern = Callable[[np.random.Generator, int], Mask]

INTRODUCTION = """\
# Error and masked area of gaps

Gaps in a signal make values wrong, and the mask removes the worst of them. This page shows, for
every `mask_threshold`, how much is masked and how large the error of the other values is.

- A value is masked where more than `mask_threshold` of its energy Σ |ψ|² is missing. The default is
  {default}. "cone" is `mask_threshold=None`, which masks the cone of influence of every missing
  sample.
- With the default, single missing samples do not mask long periods. The RMS error for AR(1)
  coefficients up to 0.7 stays near 0.1 of the row's RMS or below it, unless 5 % of the samples are
  missing at random.
- A threshold of 0.02 has about the same error as the cone rule. Where 1 % of the samples are
  missing, it masks a quarter of the area that the cone rule masks.
- For coherence the energy is smoothed in the same way as the spectra. For AR(1) coefficients of 0.7
  and more, the default therefore also has about the same error as the cone rule.
- A threshold below the fraction of missing samples masks every long period, because the missing
  part of the energy tends to that fraction.
- Fill short gaps of red noise linearly (`gap_fill="linear"`): at an AR(1) coefficient of 0.95 this
  reduces the error to a quarter. Fill white noise and long gaps with the mean: set `max_gap`.

`python -m benchmarks.gap_masks` measured the figures and wrote this page. Every row is from {seeds}
records of {samples} samples of AR(1) noise, with Morlet 6 and dj = 1/12. "masked" is the fraction
of masked values outside the cone of influence of the record's ends. The other columns are RMS
errors of the unmasked values, relative to the transform of the record without gaps. Their headings
give the gap filling (mean or linear) and the AR(1) coefficient.
"""


def at_random(part: float) -> Pattern:
    """Return a random choice of single samples."""
    return lambda rng, n: rng.random(n) < part


def in_runs(count: int, length: int) -> Pattern:
    """Return a random choice of gaps of `length` samples."""

    def chosen(rng: np.random.Generator, n: int) -> Mask:
        missing = np.zeros(n, np.bool_)
        for start in rng.integers(0, n - length, count):
            missing[start : start + length] = True
        return missing

    return chosen


PATTERNS: dict[str, Pattern] = {
    "1 % at random": at_random(0.01),
    "5 % at random": at_random(0.05),
    "10 gaps of 5": in_runs(10, 5),
    "2 gaps of 30": in_runs(2, 30),
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Effect of one threshold on one pattern of gaps.

    Attributes
    ----------
    masked : float
        Fraction of the values.
    errors : tuple of float
        RMS error of the others, for each of `FILLS` and, within it, each of `NOISES`.
    """

    pattern: str
    threshold: float | None
    masked: float
    errors: tuple[float, ...]


def rules(analysis: Analysis, samples: int, seeds: int) -> Iterator[Rule]:
    """Yield the outcome of every rule for every pattern."""
    for pattern in PATTERNS:
        cases = [(fill, ar1) for fill in FILLS for ar1 in NOISES]
        runs = {case: _runs(analysis, pattern, *case, samples, seeds) for case in cases}
        for k, threshold in enumerate(THRESHOLDS):
            errors = tuple(
                _rms(error[~masks[k]] for error, masks in each) for each in runs.values()
            )
            masked = float(np.mean([masks[k].mean() for _, masks in runs[cases[0]]]))
            yield Rule(pattern=pattern, threshold=threshold, masked=masked, errors=errors)


def _rms(parts: Iterable[Numbers]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(list(parts)) ** 2)))


def _runs(
    analysis: Analysis, pattern: str, fill: GapFill, ar1: float, samples: int, seeds: int
) -> list[tuple[Numbers, list[Mask]]]:
    """Return for each seed the errors outside the cone, and the mask of every rule."""
    outcomes = []
    for seed in range(seeds):
        whole, other = (rednoise(samples, ar1, rng=2 * seed + k) for k in (0, 1))
        missing = PATTERNS[pattern](np.random.default_rng(seed), samples)
        gappy = np.where(missing, np.nan, whole)
        truth = _result(analysis, whole, other, fill, None)
        results = [_result(analysis, gappy, other, fill, each) for each in THRESHOLDS]
        outside = ~inside_cone(truth.freqs, truth.coi)
        error = np.abs(results[0][0] - truth[0])
        if analysis == "cwt":
            error /= _row_rms(np.abs(truth[0]), outside)
        outcomes.append((error[outside], [result.mask[outside] for result in results]))
    return outcomes


def _row_rms(size: Numbers, outside: Mask) -> Numbers:
    power = np.where(outside, size**2, 0).sum(axis=1)
    points = outside.sum(axis=1)
    return np.asarray(np.sqrt(np.where(points, power, 1) / np.maximum(points, 1)))[:, None]


def _result(
    analysis: Analysis, y1: Numbers, y2: Numbers, fill: GapFill, threshold: float | None
) -> CwtResult | WctResult:
    if analysis == "cwt":
        return cwt(y1, 1.0, gap_fill=fill, mask_threshold=threshold)
    return wct(y1, y2, 1.0, sig=False, gap_fill=fill, mask_threshold=threshold)


def table(analysis: Analysis, lines: Iterable[Rule]) -> str:
    """Return a heading and a Markdown table."""
    what = "Coefficients, relative to the row's RMS" if analysis == "cwt" else "Coherence R²"
    fills = [f"{'mean' if fill is None else fill}, {ar1:g}" for fill in FILLS for ar1 in NOISES]
    heads = ["missing", "threshold", "masked", *fills]
    out = [f"## {what}", "", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for line in lines:
        name = "cone" if line.threshold is None else f"{line.threshold:g}"
        cells = [line.pattern, name, f"{100 * line.masked:.1f} %"]
        cells += [f"{error:.3f}" for error in line.errors]
        if line.threshold == MASK_THRESHOLD:
            cells[1:] = [f"**{cell}**" for cell in cells[1:]]
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


def page(samples: int = SAMPLES, seeds: int = SEEDS) -> str:
    """Measure and return the page."""
    head = INTRODUCTION.format(samples=samples, seeds=seeds, default=MASK_THRESHOLD)
    analyses: tuple[Analysis, ...] = ("cwt", "wct")
    return "\n".join([head, *(table(each, rules(each, samples, seeds)) for each in analyses)])


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gap_masks", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="file for the page")
    parser.parse_args(arguments).output.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
