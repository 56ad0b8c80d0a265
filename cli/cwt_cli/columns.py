"""Tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["column_lines"]


def column_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line per row with aligned columns, regardless of the width of the terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
