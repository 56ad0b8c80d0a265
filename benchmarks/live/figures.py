"""What was measured, what was asked for, and the page that says both."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Figure", "Section", "page"]

HEADINGS = ("", "asked", "median", "lowest to highest", "runs", "notes")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number, from every run that gave it."""

    what: str
    values: tuple[float, ...]
    unit: str
    #: As the promise says it; empty where nothing is promised.
    asked: str = ""
    note: str = ""

    def cells(self) -> list[str]:
        """Return the row of the table."""
        low, high = min(self.values), max(self.values)
        spread = f"{_short(low)} to {_short(high)}" if len(self.values) > 1 else ""
        median = f"{_short(statistics.median(self.values))} {self.unit}".rstrip()
        return [self.what, self.asked, median, spread, str(len(self.values)), self.note]


@dataclass(frozen=True, kw_only=True)
class Section:
    """Figures of one kind, how they were made, and what else there is to say."""

    title: str
    text: str
    figures: tuple[Figure, ...]


INTRODUCTION = """\
# Benchmarks of the live path

`{command}` measured all of this in one run and wrote this page: real processes around an embedded
server that stores to files, all on one machine. The device is a process of its own on nats-py
alone, and results are read with nats-py alone where nothing else is said, so that the figures are
the system's. "asked" is the promise. The floor is the same messages, as many and as large, through
bare nats-py in the same run: programs that pass them on and compute nothing.

`python -m benchmarks.live --quick` does the same with little data, to see that everything runs.
"""


def page(
    sections: Sequence[Section],
    machine: Mapping[str, str],
    versions: Mapping[str, str],
    command: str,
) -> str:
    """Return the whole page as Markdown."""
    parts = [INTRODUCTION.format(command=command)]
    parts += ["## Machine", "", *_facts(machine), "", "## Versions", "", *_facts(versions), ""]
    for section in sections:
        parts += [f"## {section.title}", "", section.text, ""]
        parts += [_row(HEADINGS), _row(["---"] * len(HEADINGS))]
        parts += [*(_row(figure.cells()) for figure in section.figures), ""]
    return "\n".join(parts)


def _facts(facts: Mapping[str, str]) -> list[str]:
    return [_row(["", ""]), _row(["---", "---"]), *(_row(item) for item in facts.items())]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
