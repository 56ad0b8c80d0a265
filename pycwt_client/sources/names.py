"""What devices call their channels, as names that are legal on the bus; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from schemas.stream import Channel

__all__ = ["channels_of", "legal_names"]

#: Of a name on the bus, and of a unit.
MAX_NAME = 64
MAX_UNIT = 32


def legal_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Return one name for each label, in their order, all different.

    >>> legal_names(["EEG Fpz-Cz", "EEG Fpz-Cz", "", "µ"])
    ('EEG_Fpz-Cz', 'EEG_Fpz-Cz-2', 'ch3', 'ch4')
    """
    names: list[str] = []
    for number, label in enumerate(labels, 1):
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", label.strip()).strip("_")[:MAX_NAME]
        name, again = plain or f"ch{number}", 2
        while name in names:
            suffix = f"-{again}"
            name = f"{(plain or f'ch{number}')[: MAX_NAME - len(suffix)]}{suffix}"
            again += 1
        names.append(name)
    return tuple(names)


def channels_of(labels: Sequence[str], units: Sequence[str | None]) -> tuple[Channel, ...]:
    """Return the channels with these labels and units; an empty unit is none."""
    return tuple(
        Channel(name=name, unit=(unit or "").strip()[:MAX_UNIT] or None)
        for name, unit in zip(legal_names(labels), units, strict=True)
    )
