"""Show a live table on a terminal, or plain lines every few seconds in other outputs."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from cwt_cli.live_table import LiveTable

__all__ = ["show"]

REFRESH_S = 0.25
#: Seconds between two reports if the output is not a terminal.
REPORT_S = 5.0


async def show(
    table: LiveTable, console: Console, headline: Callable[[], str] = lambda: ""
) -> None:
    """Show `table` below `headline` until cancelled."""
    if not console.is_terminal:
        await _report(table, console, headline)
        return

    def picture() -> RenderableType:
        body = table.table(anyio.current_time())
        return Group(Text(headline()), body) if headline() else body

    with Live(picture(), console=console, auto_refresh=False) as live:
        try:
            while True:
                await anyio.sleep(REFRESH_S)
                live.update(picture(), refresh=True)
        finally:
            live.update(picture(), refresh=True)


async def _report(table: LiveTable, console: Console, headline: Callable[[], str]) -> None:
    while True:
        await anyio.sleep(REPORT_S)
        for line in [headline(), *table.lines(anyio.current_time())]:
            if line:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
