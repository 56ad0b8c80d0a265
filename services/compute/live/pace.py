"""Which kinds of windows take less time than handing them to a thread is worth."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["SHORT_S", "Pace"]

#: What may be computed on the event loop: as much as the decoding of a large message takes there.
#: Handing over to a thread and back costs up to 0.6 ms after an idle moment, see decision 47.
SHORT_S = 0.003
#: Kinds remembered, the least recent is forgotten: an octave of one analysis is one.
KINDS = 4096


class Pace:
    """Remembers how long windows of each kind took the last time.

    Parameters
    ----------
    short_s
        Up to this many seconds are short.
    """

    def __init__(self, short_s: float = SHORT_S) -> None:
        self._short_s = short_s
        self._seconds: OrderedDict[Hashable, float] = OrderedDict()

    def is_short(self, kind: Hashable) -> bool:
        """Return whether one of this kind took a short time; of a new kind nothing is known."""
        return self._seconds.get(kind, float("inf")) <= self._short_s

    def took(self, kind: Hashable, seconds: float) -> None:
        """Remember how long one of this kind took."""
        self._seconds[kind] = seconds
        self._seconds.move_to_end(kind)
        if len(self._seconds) > KINDS:
            self._seconds.popitem(last=False)
