"""Tables of results, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from benchmarks.measurement import Measurement, Work

HEADINGS = ("", "median", "shortest to longest", "runs", "ratio", "peak memory", "notes")

INTRODUCTION = """\
# Benchmarks

`{command}` measured all figures in one run and wrote this page. In each table, the peers did the
same work, alternating with the first row. Times are wall times and leave out the first run of each.
"ratio" is the median of the row divided by that of the first row. Peak memory is the largest
resident set of a process that does the work once, including interpreter and imports.

`python -m benchmarks --quick` runs everything with little data, to check that it works.
"""


def terminal_tables(works: Sequence[Work]) -> list[Table]:
    """Return one table per task."""
    tables = []
    for work in works:
        table = Table(title=work.title, title_justify="left", show_edge=False)
        for heading in HEADINGS[:-1]:
            table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
        table.add_column(HEADINGS[-1], overflow="fold")
        for line in work.measurements:
            table.add_row(*_cells(work, line))
        tables.append(table)
    return tables


def page(
    works: Sequence[Work], machine: Mapping[str, str], versions: Mapping[str, str], command: str
) -> str:
    """Return the whole page as Markdown."""
    parts = [INTRODUCTION.format(command=command)]
    parts += ["## Machine", "", *_facts(machine), "", "## Versions", "", *_facts(versions), ""]
    for work in works:
        parts += [f"## {work.title}", ""]
        if work.measurements:
            parts += [_row(HEADINGS), _row(["---"] * len(HEADINGS))]
            parts += [*(_row(_cells(work, line)) for line in work.measurements), ""]
    return "\n".join(parts)


def _facts(facts: Mapping[str, str]) -> list[str]:
    return [_row(["", ""]), _row(["---", "---"]), *(_row(item) for item in facts.items())]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(work: Work, line: Measurement) -> list[str]:
    spread, ratio = line.spread_s, work.ratio(line)
    return [
        line.who,
        duration(line.median_s),
        f"{duration(spread[0])} to {duration(spread[1])}" if spread else "",
        str(len(line.seconds) or ""),
        "" if ratio is None or line is work.measurements[0] else f"{ratio:,.3g}",
        "" if line.peak_bytes is None else f"{line.peak_bytes / 2**20:.0f} MiB",
        line.note,
    ]


def duration(seconds: float | None) -> str:
    """Format a duration in a readable unit."""
    if seconds is None:
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
