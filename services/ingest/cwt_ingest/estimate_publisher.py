"""Publish the newest samples for provisional estimates, and request the fits of their models.

Nothing of this is stored or published again: the samples of the next chunk replace it.
"""

from __future__ import annotations

from contextlib import suppress

import anyio

from cwt_ingest.estimates import Fit
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.errors import ContractError, ErrorBody, Overloaded, Timeout, Unavailable
from cwt_schemas.headers import CONTENT_TYPE, SERVICE_ERROR_CODE
from cwt_schemas.provisional import FitReply, NewestSamples

__all__ = ["EstimatePublisher"]

#: Time after which a worker counts as dead, seconds. A fit of many channels takes up to a second.
FIT_TIMEOUT_S = 5.0
#: First and longest pause after a fit that failed, seconds. Estimates continue with the models
#: before.
PAUSE_S, MAX_PAUSE_S = 0.5, 5.0
#: Fits of a stream that are requested at a time. Those of all octaves become due together.
FITS_AT_ONCE = 4
#: Errors that a retry with the same state can pass.
TRANSIENT = (BusError, Overloaded, Timeout, Unavailable)
#: Fits that may wait; there is at most one for each octave of an analysis.
MAX_FITS = 64 * 64

MSGPACK = {CONTENT_TYPE: ContentType.MSGPACK.value}


class EstimatePublisher:
    """The estimates of one stream: `take` publishes immediately, `run` has models fitted."""

    def __init__(self, bus: Bus, log: Log) -> None:
        self._bus = bus
        self._log = log
        self._requests = anyio.CapacityLimiter(FITS_AT_ONCE)
        self._send, self._fits = anyio.create_memory_object_stream[Fit](MAX_FITS)

    async def take(self, output: NewestSamples | Fit) -> None:
        """Publish samples, or have models fitted while `run` is running."""
        if isinstance(output, Fit):
            self._send.send_nowait(output)
            return
        subject = subjects.newest(output.stream, output.analysis.name)
        with suppress(BusError):  # the server is unreachable: the next chunk replaces this one
            await self._bus.publish(subject, encode(output, ContentType.MSGPACK), MSGPACK)

    async def run(self) -> None:
        """Request fits until cancelled."""
        with self._send, self._fits:
            async with anyio.create_task_group() as tasks:
                async for fit in self._fits:
                    tasks.start_soon(self._have_fitted, fit)

    async def _have_fitted(self, fit: Fit) -> None:
        name, pause_s = fit.request.analysis.name, PAUSE_S
        async with self._requests:
            while fit.is_wanted:
                try:
                    fit.done(await self._ask(fit))
                    return
                except TRANSIENT as error:
                    self._log.debug(Action.REQUEST_FAILED, analysis=name, detail=str(error))
                    await anyio.sleep(pause_s)
                    pause_s = min(2 * pause_s, MAX_PAUSE_S)
                except ContractError as error:
                    self._log.warning(Action.REQUEST_FAILED, analysis=name, detail=str(error))
                    await anyio.sleep(PAUSE_S)
                    fit.failed()
                    return

    async def _ask(self, fit: Fit) -> FitReply:
        body = encode(fit.request, ContentType.MSGPACK)
        subject = subjects.query("fit")
        reply = await self._bus.request(subject, body, MSGPACK, timeout_s=FIT_TIMEOUT_S)
        encoding = content_type_of(reply.headers)
        if SERVICE_ERROR_CODE in reply.headers:
            raise decode(ErrorBody, reply.data, encoding).exception()
        return decode(FitReply, reply.data, encoding)
