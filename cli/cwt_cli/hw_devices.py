"""`pycwt-mod hw list, info, selftest, verify`: inspect and test the devices of the bridge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

import typer

from cwt_cli.faults import USAGE, CommandError
from cwt_cli.hw_asking import info_of, listing_of, operate
from cwt_cli.hw_checks import Verdict, check_cwt, check_mc, trial_cwt, trial_mc
from cwt_cli.names import checked_name
from cwt_cli.shell import command_log, run_command, server
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import NoRespondersError
from cwt_schemas.errors import Unavailable
from cwt_schemas.hardware import ConfiguredPort, SerialDevice
from cwt_schemas.hwops import HwCwtReply, HwMcReply, HwResult, HwSelftestReply, HwSelftestRequest
from pycwt_client import connect

__all__ = ["info", "list_", "selftest", "verify"]

Device = Annotated[
    str,
    typer.Argument(
        metavar="DEVICE",
        help="Name of the device in CWT_HW_PORTS, such as fpga0",
        callback=checked_name,
    ),
]
Seed = Annotated[int, typer.Option(min=1, max=2**32 - 1, help="Seed of the random input")]


def list_() -> None:
    """List serial ports and configured devices, without sending anything to a port."""
    _run(_list)


def info(device: Device) -> None:
    """Show the identity and the state of a device."""
    _run(partial(_info, device), device)


def selftest(device: Device, seed: Seed = 1) -> None:
    """Run the self-test of a device, and compare its results with the integer model."""
    _run(partial(_selftest, device, seed), device)


def verify(
    device: Device,
    operation: Annotated[
        str, typer.Option(metavar="cwt|mc|all", help="Operation to check")
    ] = "all",
    seed: Seed = 1,
) -> None:
    """Compute on a device and with its integer model on this machine, and compare the results."""
    if operation not in {"cwt", "mc", "all"}:
        raise typer.BadParameter(f"--operation must be cwt, mc or all, not {operation!r}")
    _run(partial(_verify, device, operation, seed), device)


def _run(work: Callable[[Bus], Awaitable[None]], device: str | None = None) -> None:
    async def connected() -> None:
        log = command_log(quiet=True)
        async with connect(server(), name="pycwt-mod hw", log=log) as client:
            try:
                await work(client.bus)
            except Unavailable as error:
                if device is None or not isinstance(error.__cause__, NoRespondersError):
                    raise
                raise CommandError(
                    f"no bridge has a device {device}: `pycwt-mod hw list` lists the devices; set "
                    "CWT_HW_PORTS of the bridge to add one"
                ) from error

    run_command(connected)


async def _list(bus: Bus) -> None:
    listing = await listing_of(bus)
    typer.echo("Serial ports reported by the operating system:")
    for port in listing.devices:
        typer.echo(f"  {port_line(port)}")
    if not listing.devices:
        typer.echo("  none")
    typer.echo("Devices configured in the bridge:")
    for each in listing.configured:
        typer.echo(f"  {device_line(each)}")
    if not listing.configured:
        typer.echo("  none: set CWT_HW_PORTS of the bridge, such as fpga0=tangnano9k:/dev/ttyUSB1")


def port_line(port: SerialDevice) -> str:
    """Format a port as one line."""
    ids = "" if port.vid is None else f" [{port.vid:04x}:{port.pid or 0:04x}]"
    maker = f" {port.manufacturer}" if port.manufacturer else ""
    return f"{port.port}{ids}{maker} {port.description}".rstrip()


def device_line(each: ConfiguredPort) -> str:
    """Format a device as one line."""
    what = f"{each.device}: {each.kind} on {each.port}, {each.state}"
    if each.build_hash is None:
        return f"{what}: {each.detail}"
    simulated = ", simulated" if each.simulated else ""
    return f"{what}{simulated}, build {each.build_hash}, {', '.join(each.operations)}"


async def _info(device: str, bus: Bus) -> None:
    info = await info_of(bus, device)
    clock = f"{info.clock_hz / 1e6:g} MHz" if info.clock_hz else "unknown"
    rows = {
        "kind": info.kind + (" (simulated)" if info.simulated else ""),
        "port": f"{info.port} at {info.baud} baud",
        "state": f"{info.state}, {info.queued} waiting",
        "build": info.build_hash,
        "clock": clock,
        "operations": ", ".join(info.operations),
        "limits": ", ".join(f"{name} {value}" for name, value in info.limits.items()),
        "detail": info.detail,
    }
    for name, value in rows.items():
        if value:
            typer.echo(f"{name + ':':<12}{value}")


async def _selftest(device: str, seed: int, bus: Bus) -> None:
    request = HwSelftestRequest(seed=seed, timeout_s=600)
    reply = await operate(bus, device, "selftest", request, HwSelftestReply)
    for check in reply.checks:
        typer.echo(f"{'passed' if check.passed else 'FAILED'}: {check.name}: {check.detail}")
    typer.echo(_origin(reply))
    if not reply.passed:
        raise CommandError(f"{device} failed its self-test")


async def _verify(device: str, operation: str, seed: int, bus: Bus) -> None:
    has = (await info_of(bus, device)).operations
    selected = [each for each in ("cwt", "mc") if operation in {each, "all"}]
    missing = [each for each in selected if each not in has]
    if missing and operation != "all":
        raise CommandError(
            f"{device} does not support {operation}; it supports {', '.join(has)}", USAGE
        )
    different = []
    for each in selected:
        if each in missing:
            typer.echo(f"{each}: not supported by {device}")
            continue
        verdict, reply = await (_verify_cwt if each == "cwt" else _verify_mc)(device, seed, bus)
        words = "equal" if verdict.equal else f"{verdict.different} DIFFERENT"
        typer.echo(f"{each}: {words}, of {verdict.numbers} numbers; {_origin(reply)}")
        if not verdict.equal:
            different.append(each)
    if different:
        raise CommandError(
            f"{device}: the results of {' and '.join(different)} differ from the model"
        )


async def _verify_cwt(device: str, seed: int, bus: Bus) -> tuple[Verdict, HwResult]:
    request = trial_cwt(seed)
    reply = await operate(bus, device, "cwt", request, HwCwtReply)
    return check_cwt(request, reply), reply


async def _verify_mc(device: str, seed: int, bus: Bus) -> tuple[Verdict, HwResult]:
    request = trial_mc(seed)
    reply = await operate(bus, device, "mc", request, HwMcReply)
    return check_mc(request, reply), reply


def _origin(reply: HwResult) -> str:
    simulated = " simulated," if reply.simulated else ""
    return f"{reply.kind},{simulated} build {reply.build_hash}, {reply.computation_time:.2f} s"
