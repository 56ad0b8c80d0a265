"""What `pycwt-mod publish` tells of its stream: events while it sends, and what became of it."""

from __future__ import annotations

from collections import Counter

import anyio
from rich.console import Console

from cwt_cli.event_text import event_line, events_in_words
from cwt_cli.faults import CommandError, expected_fault
from cwt_schemas.errors import ContractError
from cwt_schemas.live import StreamEvent
from pycwt_client import Client, Publisher

__all__ = ["PublishReport", "failure"]

#: Events of a kind that are shown one by one; the others are counted.
MAX_LINES = 3
#: Ingest reads what was sent within milliseconds, unless it waits for workers.
SETTLE_S = 5.0
LOOK_S = 0.1


class PublishReport:
    """Shows a stream's events on a console, and sums up what became of a run.

    Parameters
    ----------
    console
        Where events are shown.
    begins
        The epoch whose beginning is no news: the one before has ended.
    """

    def __init__(self, console: Console, begins: str | None = None) -> None:
        self._console = console
        self._begins = begins
        self._counts: Counter[str] = Counter()
        self._has_settled = False

    def show(self, event: StreamEvent) -> None:
        """Show an event, unless there were several of its kind."""
        if event.kind == "reset" and event.epoch == self._begins:
            return
        self._counts[event.kind] += 1
        if self._counts[event.kind] <= MAX_LINES:
            self._say(event_line(event))

    async def settle(self, client: Client, publisher: Publisher) -> None:
        """Wait until ingest has read what was sent, so that its events have come; not for long."""
        with anyio.move_on_after(SETTLE_S):
            while not self._has_settled:
                await anyio.sleep(LOOK_S)
                try:
                    status = await client.get_stream(publisher.stream)
                except ContractError:
                    return  # ingest is away: nothing more is known
                self._has_settled = (status.last_seq or 0) >= publisher.last_seq
            await anyio.sleep(LOOK_S)  # the last event is stored after its chunk is read

    def conclude(self, publisher: Publisher) -> None:
        """Sum up the events.

        Raises
        ------
        CommandError
            Samples of the run were refused.
        """
        if any(count > MAX_LINES for count in self._counts.values()):
            self._say(events_in_words(self._counts))
        if publisher.refused:
            raise CommandError(
                f"samples of epoch {publisher.epoch} were refused; the first refusal: "
                f"{publisher.refused[0].detail}"
            )
        if not self._has_settled:
            self._say(
                f"ingest has not read all samples yet: `pycwt-mod watch {publisher.stream}` shows "
                "the results of the rest"
            )

    def _say(self, text: str) -> None:
        self._console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


def failure(error: Exception, publisher: Publisher, *, live: bool) -> Exception:
    """Return a fault of publishing with what is not kept, and how to go on; a bug as it is."""
    fault = expected_fault(error)
    if fault is None or publisher.first_unkept is None:
        return error
    again = (
        "later samples are lost: start again, which begins a new epoch"
        if live
        else f"publish again with --epoch {publisher.epoch}, which continues with what is missing"
    )
    return CommandError(
        f"{fault}. Sample {publisher.first_unkept} is the first of epoch {publisher.epoch} that is "
        f"not stored: {again}",
        fault.exit_code,
    )
