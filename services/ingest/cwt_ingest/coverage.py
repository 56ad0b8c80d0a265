"""How often the 95 % intervals of provisional estimates were true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from cwt_schemas.provisional import OctaveCalibration
from cwt_schemas.stream import ProvisionalStatus

__all__ = ["Coverage"]

#: Coverage below which the model does not fit, and above which it fits again.
LOW, FITS = 0.90, 0.93
#: Part of the comparisons that is kept at each fit: the memory is 128 fits, some hundred periods,
#: over which the coverage of a true model varies by one percent.
KEPT = 1 - 1 / 128
#: Fits before coverage is judged; the factors of the intervals are still settling.
SETTLING = 64


class Coverage:
    """The comparisons of one octave, over all of its channels."""

    def __init__(self) -> None:
        self._compared = 0
        self._covered: Mapping[str, float] = {}
        self._scale: Mapping[str, float] = {}
        self._recently_compared = 0.0
        self._recently_covered: dict[str, float] = {}
        self._fits = 0
        self._is_low = False

    def update(self, calibration: Sequence[OctaveCalibration]) -> str | None:
        """Take the state after a fit; return what to report, if coverage has become low or fits."""
        compared = sum(each.compared for each in calibration)
        if compared < self._compared:  # a worker could not read the state and began again
            self._compared, self._covered = 0, {}
        names = {name for each in calibration for name in each.scale}
        covered = {
            name: sum(each.compared * each.coverage.get(name, 0.0) for each in calibration)
            for name in names
        }
        self._fits += compared > self._compared
        self._recently_compared = KEPT * self._recently_compared + compared - self._compared
        self._recently_covered = {
            name: KEPT * self._recently_covered.get(name, 0.0)
            + covered[name]
            - self._covered.get(name, 0.0)
            for name in names
        }
        self._compared, self._covered = compared, covered
        self._scale = {
            name: median(each.scale[name] for each in calibration if name in each.scale)
            for name in names
        }
        is_judged = self._fits >= SETTLING and self._recently_compared > 0 and bool(names)
        return self._finding() if is_judged else None

    def _finding(self) -> str | None:
        recent = {name: n / self._recently_compared for name, n in self._recently_covered.items()}
        name = min(recent, key=recent.__getitem__)
        if self._is_low == (recent[name] < (FITS if self._is_low else LOW)):
            return None
        self._is_low = not self._is_low
        part = f"{100 * recent[name]:.1f} % of the exact values of the {name}"
        if self._is_low:
            return f"{part} were inside their 95 % interval: the model does not fit the stream"
        return f"{part} were inside their 95 % interval: the model fits again"

    def status(self, analysis: str, octave: int, fitted: int | None) -> ProvisionalStatus:
        """Return the comparisons so far."""
        coverage = {name: n / self._compared for name, n in self._covered.items() if self._compared}
        return ProvisionalStatus(
            analysis=analysis,
            octave=octave,
            fitted=fitted,
            compared=self._compared,
            coverage=coverage,
            scale=dict(self._scale),
        )
