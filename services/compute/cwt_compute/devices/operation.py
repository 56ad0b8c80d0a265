"""One operation of a device, waited for through whatever becomes of the bridge.

Core NATS does not tell that a bridge died with a request. So while there is no answer, the same
request is sent again now and then, under the same id: a bridge that still has it says `conflict`;
one that was started anew does it, with the same seed, so it is the same result; and when nobody
serves the device any more, waiting ends.
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

#: Until it is asked whether the bridge still has it.
AGAIN_S = 15.0
#: A bridge is started again within seconds; one that is missing so often in a row is gone.
MISSING = 3
#: The bridge gives up first.
MARGIN_S = 5.0


async def simulate(
    bus: Bus, device: str, request: HwMcRequest, *, again_s: float = AGAIN_S
) -> HwMcReply:
    """Return what the device simulated; when the caller is cancelled, the device is stopped.

    Raises
    ------
    ContractError
        What the bridge refused; `Unavailable` when it is gone, `Timeout` when it never answered.
    BusError
        The bus cannot be reached.
    """
    name = secrets.token_hex(8)
    async with cancelled_with_caller(bus, device, name):
        return await _Asking(bus, device, request.model_copy(update={"id": name})).answer(again_s)


class _Asking:
    """The request, sent once and again."""

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
            self._end(await self._asked())
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

    async def _asked(self) -> HwMcReply:
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
