"""Run one operation on a device, also if the bridge restarts meanwhile.

Core NATS does not report that a bridge died with a request. While there is no reply, the same
request is therefore repeated periodically under the same id. A bridge that still has it replies
`conflict`. A bridge that was restarted runs it again, and returns the same result because the seed
is the same. If no bridge serves the device any longer, the operation fails.
"""

from __future__ import annotations

import secrets

import anyio

from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError, BusTimeoutError, NoRespondersError
from cwt_runtime.devices.calls import cancelled_with_caller
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.errors import Conflict, ContractError, ErrorBody, Overloaded, Timeout, Unavailable
from cwt_schemas.headers import CONTENT_TYPE, SERVICE_ERROR
from cwt_schemas.hwops import HwMcReply, HwMcRequest

__all__ = ["simulate"]

#: Interval at which the request is repeated, seconds.
AGAIN_S = 15.0
#: Number of consecutive repetitions without a bridge after which the operation fails.
MISSING = 3
#: Additional wait, seconds, so that the time-out of the bridge comes first.
MARGIN_S = 5.0


async def simulate(
    bus: Bus, device: str, request: HwMcRequest, *, again_s: float = AGAIN_S
) -> HwMcReply:
    """Simulate on a device; cancelling the caller stops the device.

    Raises
    ------
    ContractError
        The bridge refused the operation; `Unavailable` if there is no bridge, `Timeout` if it did
        not reply.
    BusError
        The bus is unreachable.
    """
    name = secrets.token_hex(8)
    async with cancelled_with_caller(bus, device, name):
        named = request.model_copy(update={"id": name})
        return await _RepeatedRequest(bus, device, named).answer(again_s)


class _RepeatedRequest:
    """A request that is repeated until there is an outcome."""

    def __init__(self, bus: Bus, device: str, request: HwMcRequest) -> None:
        self._bus = bus
        self._device = device
        self._request = request
        self._outcome: HwMcReply | Exception | None = None
        self._missing = 0
        self._scope = anyio.CancelScope()

    async def answer(self, again_s: float) -> HwMcReply:
        with self._scope:
            async with anyio.create_task_group() as requests:
                requests.start_soon(self._send, True)
                while True:
                    await anyio.sleep(again_s)
                    requests.start_soon(self._send, False)
        if self._outcome is None:
            raise Timeout(f"{self._device} did not answer")
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    async def _send(self, first: bool) -> None:
        try:
            self._end(await self._request_once())
        except NoRespondersError:
            self._missing += 1
            if first or self._missing == MISSING:
                self._end(
                    Unavailable(
                        f"no bridge serves {self._device} any longer: check that the "
                        "bridge is running"
                    )
                )
        except BusTimeoutError:
            self._end(Timeout(f"{self._device} did not answer in {self._request.timeout_s:g} s"))
        except (Conflict, Overloaded) as error:
            self._missing = 0
            if first:
                self._end(error)
        except (BusError, ContractError) as error:
            self._end(error)

    async def _request_once(self) -> HwMcReply:
        packed = ContentType.MSGPACK
        answer = await self._bus.request(
            subjects.hw(self._device, "mc"),
            encode(self._request, packed),
            {CONTENT_TYPE: packed.value},
            timeout_s=self._request.timeout_s + MARGIN_S,
        )
        kind = content_type_of(answer.headers)
        if SERVICE_ERROR in answer.headers:
            raise decode(ErrorBody, answer.data, kind).exception()
        return decode(HwMcReply, answer.data, kind)

    def _end(self, outcome: HwMcReply | Exception) -> None:
        self._outcome = self._outcome or outcome
        self._scope.cancel()
