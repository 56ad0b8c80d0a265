"""The hardware bridge on the bus."""

from __future__ import annotations

from collections.abc import Callable

import anyio.to_thread

from schemas import subjects
from schemas.endpoints import HW_ENDPOINTS
from schemas.hardware import HwList, HwListing
from services.hwbridge.serial_ports import list_serial_devices
from services.hwbridge.settings import HwBridgeSettings
from services.runtime.endpoint import Endpoint
from services.runtime.lifecycle import Context
from services.runtime.logs import Action
from services.runtime.micro import serve_endpoints

__all__ = ["list_endpoint", "serve"]


async def serve(context: Context, settings: HwBridgeSettings) -> None:
    """Run until asked to stop."""
    del settings  # the bridge opens no port, so there is nothing to set
    async with serve_endpoints(
        context.bus, context.identity, [list_endpoint(list_serial_devices)], context.log
    ):
        context.log.info(Action.READY)
        await context.stop.wait()


def list_endpoint(listing: Callable[[], HwListing]) -> Endpoint:
    """Return the endpoint that answers with `listing`, which may take its time."""

    async def handle(request: HwList) -> HwListing:
        del request
        return await anyio.to_thread.run_sync(listing)

    return Endpoint(contract=HW_ENDPOINTS[subjects.HW_LIST], handle=handle)
