"""Devices whose frames are whole and whose answers make no sense: told, and outlived."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cwt_schemas import subjects
from cwt_schemas.errors import Unavailable
from cwt_schemas.hardware import HwList, HwListing
from cwt_schemas.hwlink import Feature
from cwt_schemas.hwops import (
    HwCwtReply,
    HwCwtRequest,
    HwInfo,
    HwInfoRequest,
    HwMcReply,
    HwMcRequest,
    HwSelftestReply,
    HwSelftestRequest,
)
from tests.deadlines import SCALE
from tests.hwpeer.peer import DevicePeer, Identity
from tests.hwpeer.pty_device import PtyDevice
from tests.hwpeer.running import Caller, bridge

pytestmark = pytest.mark.anyio

FEATURES = Feature.FIR | Feature.SELFTEST | Feature.MC
CWT = HwCwtRequest(data=np.sin(np.arange(400) / 5), dt=1.0, s0=4.0, timeout_s=20 * SCALE)
MC = HwMcRequest(al1=0.5, al2=0.2, dj=0.25, s0=8.0, pairs=1, timeout_s=20 * SCALE)

Change = Callable[[bytes], bytes]


class Liar(DevicePeer):
    """Answers in whole frames what no device of this project does."""

    def __init__(self, change: Change, identity: Identity | None = None) -> None:
        super().__init__(identity or Identity(features=FEATURES))
        self.change = change

    def _status(self, payload: bytes) -> bytes:
        return self.change(super()._status(payload))

    def _fir_io(self, payload: bytes) -> bytes:
        return self.change(super()._fir_io(payload))

    def _mc_histogram(self, payload: bytes) -> bytes:
        return self.change(super()._mc_histogram(payload))


async def cwt(caller: Caller) -> object:
    return await caller.device("cwt", CWT, HwCwtReply)


async def mc(caller: Caller) -> object:
    return await caller.device("mc", MC, HwMcReply)


async def selftest(caller: Caller) -> object:
    return await caller.device("selftest", HwSelftestRequest(), HwSelftestReply)


async def info(caller: Caller) -> object:
    return await caller.device("info", HwInfoRequest(), HwInfo)


@pytest.mark.parametrize("operation", [cwt, mc, selftest, info])
@pytest.mark.parametrize(
    "change",
    [lambda reply: reply[:4], lambda _: b"", lambda reply: b"\xee" + reply[1:-1]],
    ids=["short", "empty", "changed"],
)
async def test_invalid_replies_are_device_errors(
    operation: Callable[[Caller], object], change: Change, tmp_path: Path
) -> None:
    liar = Liar(change)
    with PtyDevice(tmp_path / "fpga", liar) as device:
        async with bridge(f"fpga0=tangnano9k:{device.path}") as caller:
            with pytest.raises(Unavailable, match="fpga0"):
                await operation(caller)  # type: ignore[misc]  # a coroutine, each of them
            liar.change = bytes
            assert await selftest(caller)


@pytest.mark.parametrize("clock_hz", [1, 200_000])
async def test_impossible_clock_does_not_stop_bridge(tmp_path: Path, clock_hz: int) -> None:
    peer = DevicePeer(Identity(features=FEATURES | Feature.BAUD, clock_hz=27_000_000))
    with PtyDevice(tmp_path / "fpga", peer) as device:
        peer.identity = Identity(features=FEATURES | Feature.BAUD, clock_hz=clock_hz)
        async with bridge(f"fpga0=tangnano9k:{device.path}") as caller:
            listing = None
            while listing is None or "not probed" in listing.configured[0].detail:
                listing = await caller.ask(subjects.HW_LIST, HwList(), HwListing)
            assert listing.configured[0].state == ("faulty" if clock_hz == 1 else "ready")
