"""Which kinds of windows are computed on the event loop, since a thread would take longer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["SHORT_S", "InlinePolicy"]

#: What may be computed on the event loop: as much as the decoding of a large message takes there.
#: Handing over to a thread and back costs up to 0.6 ms after an idle moment, see decision 47.
SHORT_S = 0.003
#: Kinds remembered, the least recent is forgotten: an octave of one analysis is one.
KINDS = 4096


class InlinePolicy:
    """Remembers how long the last window of each kind took.

    Parameters
    ----------
    short_s
        Seconds up to which a window is short.
    """

    def __init__(self, short_s: float = SHORT_S) -> None:
        self._short_s = short_s
        self._seconds: OrderedDict[Hashable, float] = OrderedDict()

    def runs_inline(self, kind: Hashable) -> bool:
        """Return whether the last window of this kind was short; False for a new kind."""
        return self._seconds.get(kind, float("inf")) <= self._short_s

    def record(self, kind: Hashable, seconds: float) -> None:
        """Remember how long a window of this kind took."""
        self._seconds[kind] = seconds
        self._seconds.move_to_end(kind)
        if len(self._seconds) > KINDS:
            self._seconds.popitem(last=False)
