"""Run the demo: define the stream, play the recording, collect results until all have arrived."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
from rich.console import Console

from cwt_cli.display import show
from cwt_cli.faults import CommandError
from cwt_cli.live_table import LiveTable
from cwt_cli.watch import follow_streams
from cwt_schemas import storage
from cwt_schemas.live import StreamEvent
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client, Scalogram, new_epoch
from pycwt_client.sources import play
from pycwt_client.sources.csv_file import Recording

__all__ = ["DemoRun"]

CHUNK_S = 0.2
POLL_S = 0.25
#: Timeout after the last chunk; a small, busy machine needs a few seconds.
FINISH_TIMEOUT_S = 60.0


@dataclass
class DemoRun:
    """One playback of a recording, and its results."""

    definition: StreamDefinition
    recording: Recording
    speed: float
    epoch: str = field(default_factory=new_epoch)
    table: LiveTable = field(default_factory=LiveTable)
    scalograms: dict[tuple[str, ...], Scalogram] = field(default_factory=dict)
    played: int = 0
    ended: bool = False
    #: Events about dead-lettered or dropped windows, by id; each reports one window or more.
    dropped: dict[str, StreamEvent] = field(default_factory=dict)
    #: Wall-clock seconds from the first chunk to the last result.
    took_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return len(self.recording.samples) / self.definition.fs_hz

    @property
    def results(self) -> int:
        """Number of distinct results so far."""
        return sum(map(len, self.scalograms.values()))

    async def run(self, client: Client, console: Console) -> None:
        """Play the recording and collect results, showing the progress.

        Raises
        ------
        CommandError
            Results are missing after the timeout.
        """
        begin = time.monotonic()
        await client.put_stream(self.definition)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._collect, client)
            tasks.start_soon(self._collect_events, client)
            tasks.start_soon(follow_streams, client, self.definition.name, self.table)
            tasks.start_soon(show, self.table, console, self.headline)
            async with client.publisher(self.definition.name, self.epoch) as publisher:
                signals = self.recording.signals(self.definition.fs_hz, chunk_s=CHUNK_S)
                await play(signals, publisher, speed=self.speed, played=self._note)
            self.ended = True
            await self._until_complete(client)
            tasks.cancel_scope.cancel()
        self.took_s = time.monotonic() - begin

    async def play_again(self, client: Client) -> None:
        """Play the recording as a new epoch, like a monitor that was restarted."""
        async with client.publisher(self.definition.name, new_epoch()) as publisher:
            signals = self.recording.signals(self.definition.fs_hz, chunk_s=CHUNK_S)
            await play(signals, publisher, speed=self.speed)

    def headline(self) -> str:
        """Format the progress of the playback."""
        seconds = self.played / self.definition.fs_hz
        playing = f"playing at {self.speed:g} x"
        doing = "all published, computing the rest" if self.ended else playing
        return f"{doing}: {seconds:.0f} of {self.duration_s:.0f} s, {self.results} results"

    def _note(self, samples: int) -> None:
        self.played = samples

    async def _collect(self, client: Client) -> None:
        async with client.results(self.definition.name) as results:
            async for result in results:
                if result.epoch == self.epoch:
                    empty = Scalogram(result.stream, result.analysis, result.channels)
                    self.scalograms.setdefault(result.channels, empty).add(result)
                    self.table.feed_result(result, anyio.current_time())

    async def _collect_events(self, client: Client) -> None:
        async with client.events(self.definition.name) as events:
            async for event in events:
                self.table.feed_event(event)
                if event.kind == "dropped":
                    self.dropped[event.id] = event

    async def _until_complete(self, client: Client) -> None:
        """Wait until ingest has read all samples and every window has its result."""
        with anyio.move_on_after(FINISH_TIMEOUT_S):
            await until_stable(lambda: self._complete(client))
            self._check_dropped()
            return
        raise CommandError(
            f"results are still missing {FINISH_TIMEOUT_S:g} s after the last chunk "
            f"({self.results} arrived)"
        )

    def _check_dropped(self) -> None:
        if self.dropped:
            first = next(iter(self.dropped.values()))
            raise CommandError(f"{self._windows_dropped} windows gave no result: {first.detail}")

    @property
    def _windows_dropped(self) -> int:
        return sum(event.count for event in self.dropped.values())

    async def _complete(self, client: Client) -> bool:
        status = await client.get_stream(self.definition.name)
        backlog = await client.bus.log.backlog(storage.WINDOWS, storage.COMPUTE_WINDOWS)
        return (
            status.epoch == self.epoch
            and (status.next_sample or 0) >= len(self.recording.samples)
            and backlog.waiting + backlog.in_flight == 0
            and self.results + self._windows_dropped >= status.windows
        )


async def until_stable(holds: Callable[[], Awaitable[bool]], *, poll_s: float = POLL_S) -> None:
    """Wait until `holds` returns true in two consecutive polls."""
    in_a_row = 0
    while in_a_row < 2:
        await anyio.sleep(poll_s)
        in_a_row = in_a_row + 1 if await holds() else 0
