"""Read provisional estimates, which are not stored: only those that arrive from now on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from cwt_runtime.bus import Bus, Message
from cwt_runtime.telemetry.logs import Action
from cwt_schemas.codec import content_type_of, decode
from cwt_schemas.errors import ContractError
from cwt_schemas.provisional import ProvisionalEstimate
from pycwt_client.log import library_log

__all__ = ["Estimates", "open_estimates"]


class Estimates:
    """An endless iteration over the newest estimates.

    Of estimates that arrive while the program is busy, only the newest of each analysis is
    returned. A cancelled read loses nothing: the next one continues.

    Attributes
    ----------
    skipped : int
        Number of estimates that were replaced by newer ones before they were read, that arrived
        after newer ones, or that cannot be decoded.
    """

    def __init__(self) -> None:
        self._newest: OrderedDict[str, Message] = OrderedDict()
        self._arrived = anyio.Event()
        #: Epoch and newest sample of the last estimate of each analysis.
        self._last: dict[str, tuple[str, int]] = {}
        self.skipped = 0

    def put(self, message: Message) -> None:
        """Take a message from the bus."""
        self.skipped += self._newest.pop(message.subject, None) is not None
        self._newest[message.subject] = message
        self._arrived.set()

    def __aiter__(self) -> Estimates:
        return self

    async def __anext__(self) -> ProvisionalEstimate:
        while True:
            while not self._newest:
                self._arrived = anyio.Event()
                await self._arrived.wait()
            subject, message = self._newest.popitem(last=False)
            estimate = self._decoded(message)
            if estimate is None:
                continue
            epoch, newest = self._last.get(subject, ("", -1))
            if estimate.epoch == epoch and estimate.newest_sample <= newest:
                self.skipped += 1
                continue
            self._last[subject] = estimate.epoch, estimate.newest_sample
            return estimate

    def _decoded(self, message: Message) -> ProvisionalEstimate | None:
        kind = content_type_of(message.headers)
        try:
            return decode(ProvisionalEstimate, message.data, kind, ignore_unknown=True)
        except ContractError as error:
            self.skipped += 1
            library_log().warning(
                Action.MESSAGE_SKIPPED,
                subject=message.subject,
                detail=f"{error.code}: {error.message}",
            )
            return None


@asynccontextmanager
async def open_estimates(bus: Bus, subject: str) -> AsyncIterator[Estimates]:
    """Read the estimates on `subject`, which may be a pattern, while the context is open."""
    estimates = Estimates()
    failure: Exception | None = None
    async with bus.subscribe(subject) as messages, anyio.create_task_group() as tasks:

        async def receive() -> None:
            async for message in messages:
                estimates.put(message)

        tasks.start_soon(receive)
        try:
            yield estimates
        except Exception as error:  # noqa: BLE001 - raised below, outside of the group
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
