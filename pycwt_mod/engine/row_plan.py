"""All rows of an analysis in groups, each at the length and the step that its band asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from pycwt_mod.arrays import Complexes, Floats, complex_dtype
from pycwt_mod.engine.bands import allowed_bins
from pycwt_mod.engine.filter_bank import RowGroup
from pycwt_mod.engine.inputs import Carrier, Part, halves
from pycwt_mod.engine.overlap_save import Segments
from pycwt_mod.engine.schedule import Question, portions
from pycwt_mod.engine.sources import Parts, Sources, spectra_by_length
from pycwt_mod.engine.threads import run


@dataclass(frozen=True, eq=False)
class RowPlan:
    """The filters of all scales for records of one length.

    Attributes
    ----------
    asked : Question
    full_rate : bool
        Whether the rows are wanted at every sample of the record, or every D on a circle.
    groups : tuple of RowGroup or Segments
    points : tuple of int
        Samples of a row of each group, every D.
    """

    asked: Question
    full_rate: bool
    groups: tuple[RowGroup | Segments, ...]
    points: tuple[int, ...]

    @classmethod
    def build(cls, asked: Question, *, full_rate: bool) -> RowPlan:
        """Choose lengths and steps, and tabulate."""
        groups: list[RowGroup | Segments] = []
        shared = portions(asked, full_rate=full_rate)
        for kind, index in shared.items():
            common = asked.wavelet, asked.scales[index], index, kind.length, kind.step
            if kind.segmented:
                some: RowGroup | Segments = Segments.build(
                    *common, convention=asked.convention, dtype=asked.dtype, rtol=asked.rtol
                )
            else:
                some = RowGroup.build(
                    *common, convention=asked.convention, dtype=asked.dtype, rtol=asked.rtol,
                    interpolate=kind.interpolated,
                )  # fmt: skip
            groups.append(some)
        points = tuple(kind.points(asked.n) for kind in shared)
        return cls(asked, full_rate, tuple(groups), points)

    def full(self, signal: Floats, spectrum: Complexes, workers: int = 1) -> Complexes:
        """Return the rows at every sample, shape (..., scales, n).

        `spectrum` is the signal's `rfft` at the length it is padded to.
        """
        shape = (*signal.shape[:-1], len(self.asked.scales), self.asked.n)
        out: Complexes = np.empty(shape, complex_dtype(signal.dtype))
        flat = out.reshape(-1, len(self.asked.scales), self.asked.n)
        sources = self.sources(signal, spectrum, workers)
        run(
            (
                task
                for k in range(len(flat))
                for group in self.groups
                for task in self._full_tasks(group, sources.one(k), flat[k])
            ),
            workers,
        )
        return out

    def _full_tasks(
        self, group: RowGroup | Segments, sources: Sources, out: Complexes
    ) -> Iterable[Callable[[], object]]:
        if isinstance(group, Segments):
            parts = sources.carriers[group.length]
            for start in group.starts(self.asked.n):
                yield partial(group.write, parts, start, out, group.index)
        else:
            for rows in group.chunks():
                yield partial(group.write, sources.spectra[group.length], rows, out)

    def sources(self, signal: Floats, spectrum: Complexes, workers: int = 1) -> Sources:
        """Return what the groups need; `spectrum` is that of the signal's padding."""
        asked: dict[int, set[Part]] = {}
        count: dict[int, int] = {}
        reach: dict[int, int] = {}
        for group in self.groups:
            if isinstance(group, Segments):
                m = group.length
                asked.setdefault(m, set()).update(group.parts)
                ends = self.asked.n if self.full_rate or group.rings else m
                count[m] = max(count.get(m, 0), ends)
                reach[m] = max(reach.get(m, 0), group.margin)
        lengths = {group.length for group in self.groups if isinstance(group, RowGroup)}
        lengths |= {m for m, parts in asked.items() if parts != {"all"}}
        spectra = spectra_by_length(signal, spectrum, self.asked.length, lengths, workers)
        carriers: dict[int, Parts] = {}
        for m, parts in asked.items():
            counts = allowed_bins(self.asked.wavelet, self.asked.convention, m)[1] == m // 2
            found = halves(
                signal, spectra.get(m, spectrum), m, parts, nyquist_counts=counts, workers=workers
            )
            carriers[m] = {
                part: Carrier.around(found[part], m, reach[m], count[m]) for part in parts
            }
        return Sources(spectra, carriers)
