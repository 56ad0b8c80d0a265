"""Short representations of results: one line for consoles, a small table for notebooks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Summarised(ABC):
    """An object whose `repr` is a line of facts, and which notebooks show as a table of them."""

    __slots__ = ()

    @abstractmethod
    def _facts(self) -> dict[str, str]:
        """Return what the summary lists, by name."""

    def __repr__(self) -> str:
        facts = ", ".join(f"{name} {fact}" for name, fact in self._facts().items())
        return f"<{type(self).__name__}: {facts}>"

    def _repr_html_(self) -> str | None:
        rows = "".join(
            f'<tr><th style="text-align: left">{escape(name)}</th>'
            f'<td style="text-align: left">{escape(fact)}</td></tr>'
            for name, fact in self._facts().items()
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"


def span(values: NDArray[Any], unit: str = "") -> str:
    """Return the range of finite values, such as ``2 to 64 Hz``; ``none`` without any."""
    finite = np.asarray(values)[np.isfinite(values)]
    if not finite.size:
        return "none"
    low, high = f"{finite.min():.4g}", f"{finite.max():.4g}"
    return (low if low == high else f"{low} to {high}") + (f" {unit}" if unit else "")


def percentage(mask: NDArray[Any]) -> str:
    """Return the part of the values that are true."""
    return f"{100 * np.count_nonzero(mask) / max(mask.size, 1):.3g} %"


def mean(values: NDArray[Any]) -> str:
    """Return the mean of the finite values; ``none`` without any."""
    finite = np.asarray(values)[np.isfinite(values)]
    return f"{finite.mean():.3g}" if finite.size else "none"
