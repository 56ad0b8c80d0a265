"""Size of the results of a window."""

from __future__ import annotations

from dataclasses import dataclass

from cwt_runtime.analysis import AnalysisPlan
from cwt_schemas.analysis import AnalysisSpec

__all__ = ["ResultSize"]

#: Bytes of a result in addition to its arrays, with names of usual length: ids, times, provenance,
#: and their encoding.
RESULT_OVERHEAD_BYTES = 960
#: The same with the longest names.
LONGEST_OVERHEAD_BYTES = 4 * 1024
#: Bytes of a row on the axes.
AXES_BYTES = 16
#: Bytes of a band of a row, around the name of a channel, and of a pair of places.
BAND_BYTES, NAME_BYTES, PAIR_BYTES = 40, 2, 4
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
    header_bytes, mask_bytes : int
        Size of the rest of a message, and that of the mask if it is one for all pairs.
    """

    n_sets: int
    rows: int
    columns: int
    set_bytes: int
    header_bytes: int
    mask_bytes: int = 0

    @classmethod
    def of(cls, spec: AnalysisSpec, plan: AnalysisPlan, octave: int) -> ResultSize:
        """Return the size in one octave; it has no rows if no band is in the octave."""
        rows, columns = plan.shape(spec, octave)
        value_bytes = 2 * REAL_BYTES if spec.quantity == "complex" else REAL_BYTES
        level_bytes = 0 if spec.significance is None else REAL_BYTES * rows
        cells = rows * columns
        mask_bytes = 0
        header_bytes = RESULT_OVERHEAD_BYTES + AXES_BYTES * rows
        if spec.pairs == "all":
            if spec.phase:
                value_bytes += REAL_BYTES
            header_bytes += BAND_BYTES * rows if spec.bands else 0
            header_bytes += sum(NAME_BYTES + len(name) for name in spec.channels)
            mask_bytes = MASK_BYTES * len(spec.channels) * cells
            level_bytes += PAIR_BYTES
        elif spec.op in ("xwt", "wct", "pwct"):
            value_bytes += REAL_BYTES
        return cls(
            n_sets=spec.n_sets,
            rows=rows,
            columns=columns,
            set_bytes=value_bytes * cells + level_bytes,
            header_bytes=header_bytes,
            mask_bytes=mask_bytes,
        )

    @property
    def shared_bytes(self) -> int:
        """Size of a message without the values of sets, at most."""
        return LONGEST_OVERHEAD_BYTES + self.header_bytes + self.mask_bytes

    @property
    def window_bytes(self) -> int:
        """Size of the values of all sets."""
        return self.n_sets * self.set_bytes

    def sets_within(self, max_bytes: int) -> int:
        """Return the number of sets whose values fit a message, at most all; 0 if none does."""
        return max(0, min((max_bytes - self.shared_bytes) // self.set_bytes, self.n_sets))
