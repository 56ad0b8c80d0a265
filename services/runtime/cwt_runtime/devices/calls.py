"""Call a device on the bridge, and cancel its operation when the caller stops waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio

from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError, BusTimeoutError
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import Timeout
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.hwops import HwCancel

__all__ = ["cancelled_with_caller"]

#: Time limit for sending the cancellation, seconds.
CANCEL_S = 1.0


@asynccontextmanager
async def cancelled_with_caller(bus: Bus, device: str, name: str) -> AsyncIterator[None]:
    """Cancel the operation `name` of a device when the code in the context stops waiting for it.

    That is when it is cancelled or times out. Cancelling an operation that has ended has no effect.
    """
    try:
        yield
    except (anyio.get_cancelled_exc_class(), BusTimeoutError, Timeout):
        with anyio.move_on_after(CANCEL_S, shield=True), suppress(BusError):
            await bus.publish(
                subjects.hw(device, "cancel"),
                encode(HwCancel(id=name), ContentType.JSON),
                {CONTENT_TYPE: ContentType.JSON.value},
            )
        raise
