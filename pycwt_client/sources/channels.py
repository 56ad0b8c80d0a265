"""Names of channels that are valid on the bus, and their units. No I/O.

The Lab Streaming Layer describes a stream, live and in XDF files, in XML by convention:
``desc/channels/channel``, each with a ``label`` and a ``unit``. This module expects it nested: a
map from each name to a list of maps or texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from cwt_schemas.stream import Channel

__all__ = ["channels_of", "labels_and_units", "legal_names"]

#: Maximum lengths of a name on the bus and of a unit.
MAX_NAME = 64
MAX_UNIT = 32
#: Usual spellings of units in the Lab Streaming Layer.
SHORT_UNITS = {"microvolts": "uV", "microvolt": "uV", "millivolts": "mV", "volts": "V"}


def channels_of(labels: Sequence[str], units: Sequence[str | None]) -> tuple[Channel, ...]:
    """Return channels with these labels and units; an empty unit means none."""
    return tuple(
        Channel(name=name, unit=(unit or "").strip()[:MAX_UNIT] or None)
        for name, unit in zip(legal_names(labels), units, strict=True)
    )


def legal_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Return a distinct name for each label, in their order.

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


def labels_and_units(info: dict[str, Any], count: int) -> tuple[list[str], list[str | None]]:
    """Return labels and units of `count` channels from a description of the Lab Streaming Layer.

    Missing fields are empty.
    """
    said = _channels(info)
    said += [{}] * (count - len(said))
    labels = [_text(each, "label") or _text(each, "name") for each in said[:count]]
    units = [_text(each, "unit") or None for each in said[:count]]
    return labels, [SHORT_UNITS.get((unit or "").lower(), unit) for unit in units]


def _channels(info: dict[str, Any]) -> list[dict[str, Any]]:
    found: Any = info
    for name in ("desc", "channels"):
        inner = found.get(name) or [None]
        found = inner[0]
        if not isinstance(found, dict):
            return []
    return [each for each in found.get("channel") or [] if isinstance(each, dict)]


def _text(channel: dict[str, Any], name: str) -> str:
    value = (channel.get(name) or [""])[0]
    return value if isinstance(value, str) else ""
