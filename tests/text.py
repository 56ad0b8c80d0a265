"""Facts in text that is written for people: tests compare these, and leave the wording free."""

from __future__ import annotations

import re


def numbers(text: str) -> list[str]:
    """Return the numbers of `text` as they are written, in order."""
    return re.findall(r"(?<![\w.])-?\d+(?:[.,]\d+)*", text)
