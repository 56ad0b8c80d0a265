"""The whole design on a serial line, each bit simulated."""

from __future__ import annotations

import pytest

from benchmarks.hwlink import Line, bulk, opened_line
from cwt_gateware.sim.engines import chosen_engine
from cwt_schemas.hwlink import BAD_FRAMES_TO_DEFAULT_RATE, MessageType
from cwt_schemas.hwlink_layouts import HelloReply, HelloRequest
from tests.unit.gateware.designs import FOLDER, needs_verilator
from tests.unit.gateware.host import HELLO, frame

#: The first one compiles the design.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_verilator]


def test_bulk_transfers_use_85_per_cent_of_a_line_of_3_mbaud_with_latency() -> None:
    line = opened_line(FOLDER, 9, latency_ms=1.0)
    # Many frames, because the first and the last reply wait for the latency.
    found = bulk(line, 9, frames=64)
    assert {what: transfer for what, transfer in found.items() if transfer.efficiency < 0.85} == {}


@pytest.mark.parametrize("divisor", [9, 27])
def test_a_host_at_the_first_rate_finds_a_device_that_was_left_at_another(divisor: int) -> None:
    engine = chosen_engine("serial", "verilator", FOLDER, entropy=3).engine
    line = Line(engine)
    line.hello()
    line.set_divisor(divisor)
    engine.set_host_divisor(234)
    engine.run(b"", 10_000)
    for _ in range(BAD_FRAMES_TO_DEFAULT_RATE + 4):
        sent = engine.run(frame(MessageType.HELLO, 7, HELLO), 1_000_000).sent
        if sent.endswith(b"\0") and b"CWTM" in sent:
            break
    else:
        pytest.fail("no HELLO was answered")
    replies, _ = line.transfer([(MessageType.HELLO, HelloRequest().pack(), 0)])
    assert HelloReply.unpack(replies[0]).divisor == 234
