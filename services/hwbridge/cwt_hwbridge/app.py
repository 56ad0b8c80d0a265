"""Run the hardware bridge on the bus."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio
import anyio.to_thread

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.device_worker import DeviceWorker, Progress
from cwt_hwbridge.devices import driver_factory, open_s
from cwt_hwbridge.fair_queue import MAX_WAITING
from cwt_hwbridge.operations import work_of
from cwt_hwbridge.port_config import PortConfig
from cwt_hwbridge.port_session import DeviceEvent, PortSession
from cwt_hwbridge.serial_link import open_serial_line
from cwt_hwbridge.serial_ports import list_serial_devices
from cwt_hwbridge.settings import HwBridgeSettings
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_runtime.process.lifecycle import Context
from cwt_runtime.rpc.admission import Admission
from cwt_runtime.rpc.context import request_context
from cwt_runtime.rpc.endpoint import Endpoint
from cwt_runtime.rpc.micro import serve_endpoints
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.endpoints import DEVICE_ENDPOINTS, HW_ENDPOINTS
from cwt_schemas.hardware import ConfiguredPort, HwEvent, HwList, HwListing, HwOperation
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.hwops import HwCancel, HwCancelled, HwInfo, HwInfoRequest, HwRequest, HwResult

__all__ = ["device_endpoints", "device_workers", "list_endpoint", "serve"]

#: Time for a device to report its state, in addition to the time to open its port.
INFO_S = 5.0
#: Concurrent requests per endpoint: more than may wait, so that the device's queue, and not the
#: endpoint, schedules and refuses requests.
AT_ONCE = MAX_WAITING + 8
OPERATIONS: tuple[HwOperation, ...] = ("selftest", "fft", "cwt", "mc")


async def serve(context: Context, settings: HwBridgeSettings) -> None:
    """Run until asked to stop."""
    workers = device_workers(settings, partial(_tell, context.bus, context.log))
    for worker in workers:
        gauge = metrics.DEVICE_USABLE.labels(worker.config.device, worker.config.kind)
        gauge.set_function(partial(_is_usable, worker))
    endpoints = [
        list_endpoint(partial(_listing, workers)),
        *(endpoint for worker in workers for endpoint in device_endpoints(worker)),
    ]
    async with anyio.create_task_group() as keepers:
        for worker in workers:
            keepers.start_soon(worker.run)
        async with serve_endpoints(
            context.bus,
            context.identity,
            endpoints,
            context.log,
            Admission(max_bytes=settings.requests_max_bytes),
            reply_prefixes=settings.reply_prefixes,
        ):
            context.ready()
            await context.stop.wait()
        keepers.cancel_scope.cancel()


def device_workers(
    settings: HwBridgeSettings,
    tell: Callable[[PortConfig, DeviceEvent | Progress], Awaitable[None]],
) -> tuple[DeviceWorker, ...]:
    """Return a worker for each configured device, without opening its port."""
    return tuple(
        DeviceWorker(
            config,
            PortSession(
                partial(open_serial_line, config.port),
                driver_factory(
                    config.kind,
                    elm11_pace_s=settings.hw_elm11_pace_s,
                    margin_s=settings.hw_margin_s,
                ),
                open_s(config.kind, elm11_pace_s=settings.hw_elm11_pace_s),
            ),
            tell,
        )
        for config in settings.ports
    )


def list_endpoint(listing: Callable[[], HwListing]) -> Endpoint:
    """Return the endpoint that replies with `listing`, which may be slow."""

    async def handle(request: HwList) -> HwListing:
        del request
        return await anyio.to_thread.run_sync(listing)

    return Endpoint(contract=HW_ENDPOINTS[subjects.HW_LIST], handle=handle)


def device_endpoints(worker: DeviceWorker) -> list[Endpoint]:
    """Return the endpoints of one device."""
    device = worker.config.device

    async def info(request: HwInfoRequest) -> HwInfo:
        del request
        return await _info(worker)

    async def cancel(request: HwCancel) -> HwCancelled:
        return HwCancelled(id=request.id, was=worker.cancel(request.id))

    def operation(name: HwOperation) -> Endpoint:
        async def handle(request: HwRequest) -> HwResult:
            # Compute outside of the port's thread, once the request has its place in the queue.
            plan = partial(anyio.to_thread.run_sync, work_of, request, worker.config)
            return await worker.operate(name, request, plan, client_id=request_context().client_id)

        contract = DEVICE_ENDPOINTS[name].of_device(device)
        return Endpoint(contract=contract, handle=handle, concurrency=AT_ONCE)

    return [
        Endpoint(contract=DEVICE_ENDPOINTS["info"].of_device(device), handle=info),
        Endpoint(contract=DEVICE_ENDPOINTS["cancel"].of_device(device), handle=cancel),
        *map(operation, OPERATIONS),
    ]


async def _info(worker: DeviceWorker) -> HwInfo:
    info = await worker.probe(
        CancellableDeadline(INFO_S + worker.session.open_s), client_id=request_context().client_id
    )
    return HwInfo(
        device=worker.config.device,
        kind=worker.config.kind,
        port=worker.config.port,
        state=worker.session.state,
        build_hash=info.build_hash,
        simulated=info.simulated,
        operations=tuple(sorted(info.operations)),
        baud=info.baud,
        clock_hz=info.clock_hz,
        limits=dict(info.limits),
        queued=worker.queued,
        detail=info.detail,
    )


def _listing(workers: Sequence[DeviceWorker]) -> HwListing:
    listing = list_serial_devices()
    return listing.model_copy(update={"configured": tuple(map(_configured, workers))})


def _is_usable(worker: DeviceWorker) -> bool:
    return worker.session.state in {"ready", "busy"}


def _configured(worker: DeviceWorker) -> ConfiguredPort:
    info = worker.session.info
    return ConfiguredPort(
        device=worker.config.device,
        port=worker.config.port,
        kind=worker.config.kind,
        state=worker.session.state,
        build_hash=info.build_hash if info else None,
        simulated=bool(info and info.simulated),
        operations=tuple(sorted(info.operations)) if info else (),
        detail=worker.session.detail,
    )


async def _tell(bus: Bus, log: Log, config: PortConfig, what: DeviceEvent | Progress) -> None:
    """Publish an event; an unreachable server does not delay the device."""
    event = _event(config, what)
    if isinstance(what, DeviceEvent):
        log.info(Action.DEVICE_EVENT, device=config.device, kind=what.kind, detail=what.detail)
    try:
        await bus.publish(
            subjects.HW_EVENTS,
            encode(event, ContentType.JSON),
            {CONTENT_TYPE: ContentType.JSON.value},
        )
    except BusError as error:
        log.warning(Action.BUS_ERROR, detail=str(error), subject=subjects.HW_EVENTS)


def _event(config: PortConfig, what: DeviceEvent | Progress) -> HwEvent:
    now = time.time_ns()
    progress = what if isinstance(what, Progress) else None
    return HwEvent(
        id=f"{config.device}/{now}/{secrets.token_hex(4)}",
        device=config.device,
        kind="progress" if isinstance(what, Progress) else what.kind,
        detail="" if isinstance(what, Progress) else what.detail,
        operation=progress.operation if progress else None,
        done=progress.done if progress else None,
        total=progress.total if progress else None,
        t_ns=now,
    )
