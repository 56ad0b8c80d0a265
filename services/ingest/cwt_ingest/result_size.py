"""Size of the results of an analysis, and the rate at which a stream writes them."""

from __future__ import annotations

from dataclasses import dataclass

from cwt_runtime.analysis import AnalysisPlan
from cwt_schemas.stream import AnalysisSpec

__all__ = ["ResultSize"]

#: Bytes of a result in addition to its arrays: ids, axes, times, provenance, and their encoding.
RESULT_OVERHEAD_BYTES = 2 * 1024
#: Bytes of a row on the axes.
AXES_BYTES = 16
#: Bytes of a band of a row, of the name of a channel, and of a pair of places.
BAND_BYTES, NAME_BYTES, PAIR_BYTES = 64, 66, 4
#: Bytes of a real value: results are float32, unless the samples need float64.
REAL_BYTES = 4
#: Bytes of a value of the mask.
MASK_BYTES = 2


@dataclass(frozen=True, kw_only=True)
class ResultSize:
    """Size of the results of one window of all channel sets.

    Attributes
    ----------
    n_sets : int
    rows, columns : int
        Of the values of a set.
    set_bytes : int
        Size of the values of a set, without mask.
    shared_bytes : int
        Size of the rest of a message, with a mask for all pairs.
    """

    n_sets: int
    rows: int
    columns: int
    set_bytes: int
    shared_bytes: int

    @classmethod
    def of(cls, spec: AnalysisSpec, plan: AnalysisPlan, octave: int) -> ResultSize:
        """Return the size in one octave; it has no rows if no band is in the octave."""
        rows, columns = plan.shape(spec, octave)
        value_bytes = 2 * REAL_BYTES if spec.quantity == "complex" else REAL_BYTES
        level_bytes = 0 if spec.significance is None else REAL_BYTES * rows
        cells = rows * columns
        shared_bytes = RESULT_OVERHEAD_BYTES + AXES_BYTES * rows
        if spec.pairs == "all":
            if spec.phase:
                value_bytes += REAL_BYTES
            shared_bytes += BAND_BYTES * rows if spec.bands else 0
            shared_bytes += len(spec.channels) * (NAME_BYTES + MASK_BYTES * cells)
            level_bytes += PAIR_BYTES
        elif spec.op in ("xwt", "wct", "pwct"):
            value_bytes += REAL_BYTES
        return cls(
            n_sets=spec.n_sets,
            rows=rows,
            columns=columns,
            set_bytes=value_bytes * cells + level_bytes,
            shared_bytes=shared_bytes,
        )

    @property
    def window_bytes(self) -> int:
        """Size of the values of all sets."""
        return self.n_sets * self.set_bytes

    def sets_within(self, max_bytes: int) -> int:
        """Return the number of sets whose values fit a message, at most all; 0 if none does."""
        return max(0, min((max_bytes - self.shared_bytes) // self.set_bytes, self.n_sets))
