"""Report of `pycwt-mod publish`: events during the run, and a summary at its end."""

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

#: Number of events of a kind to show individually; further ones are counted.
MAX_LINES = 3
#: Ingest reads published chunks within milliseconds, unless it waits for workers.
SETTLE_S = 5.0
LOOK_S = 0.1


class PublishReport:
    """Show the events of a stream on a console, and summarize the run.

    Parameters
    ----------
    console
        Console for the events.
    begins
        Epoch whose start is not reported, because the one before has ended.
    """

    def __init__(self, console: Console, begins: str | None = None) -> None:
        self._console = console
        self._begins = begins
        self._counts: Counter[str] = Counter()
        self._has_settled = False

    def show(self, event: StreamEvent) -> None:
        """Show an event, unless enough of its kind were shown."""
        if event.kind == "reset" and event.epoch == self._begins:
            return
        self._counts[event.kind] += 1
        if self._counts[event.kind] <= MAX_LINES:
            self._say(event_line(event))

    async def settle(self, client: Client, publisher: Publisher) -> None:
        """Wait briefly until ingest has read all chunks, so that its events have arrived."""
        with anyio.move_on_after(SETTLE_S):
            while not self._has_settled:
                await anyio.sleep(LOOK_S)
                try:
                    status = await client.get_stream(publisher.stream)
                except ContractError:
                    return  # ingest is not running: no further events are expected
                self._has_settled = (status.last_seq or 0) >= publisher.last_seq
            await anyio.sleep(LOOK_S)  # the last event is stored after its chunk was read

    def conclude(self, publisher: Publisher) -> None:
        """Summarize the events.

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
    """Add the unstored samples and how to resume to a publishing error; return a bug unchanged."""
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
