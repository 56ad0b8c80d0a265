"""How streams of the Lab Streaming Layer name their channels, live and in XDF files; pure.

The description of a stream is XML by convention: ``desc/channels/channel``, each with a ``label``
and a ``unit``. Here it is nested: a map from each name to a list, of maps or of texts.
"""

from __future__ import annotations

from typing import Any

__all__ = ["labels_and_units"]

#: As the units are usually spelled there.
SHORT_UNITS = {"microvolts": "uV", "microvolt": "uV", "millivolts": "mV", "volts": "V"}


def labels_and_units(info: dict[str, Any], count: int) -> tuple[list[str], list[str | None]]:
    """Return the labels and units of `count` channels; what is not said is empty."""
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
