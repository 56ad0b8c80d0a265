"""`pycwt-mod hw sim`, driven as a board is driven: by pyserial, over a real pseudo-terminal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from cwt_schemas.hwlink import Feature, MessageType, NakCode, State
from cwt_schemas.hwlink_layouts import Nak, SetBaud, Status
from tests.deadlines import SCALE
from tests.template import ForkedProcess, printing
from tests.unit.gateware.designs import SIMULATOR, needs_verilator
from tests.unit.gateware.host import Host

#: A byte's time is the simulator's, and a first run compiles.
PATIENCE_S = 60 * SCALE

#: The first one compiles the design.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@contextmanager
def simulated(*options: str) -> Iterator[tuple[ForkedProcess, str]]:
    """The command, and the port that it names."""
    with printing("cwt_cli", "hw", "sim", *options) as (process, printed):
        yield process, printed.readline().strip()


@contextmanager
def opened_host(port: str) -> Iterator[tuple[Host, serial.Serial]]:
    with serial.Serial(port, 115_200, timeout=PATIENCE_S, exclusive=True) as line:

        def ask(sent: bytes) -> bytes:
            line.write(sent)
            return bytes(line.read_until(b"\0"))

        yield Host(ask), line


def talks(port: str, expected: Feature) -> None:
    with opened_host(port) as (host, _):
        hello = host.hello()
        assert Feature.SIMULATED | expected == Feature(hello.features) & (
            Feature.SIMULATED | Feature.BAUD
        )
        status = host.request(MessageType.STATUS)
        assert isinstance(status, bytes)
        assert Status.unpack(status).state == State.IDLE
        assert host.request(0x7E) == Nak(code=NakCode.TYPE, type=0x7E, expected=host.seq)


def test_a_host_talks_to_amaranths_simulator() -> None:
    with simulated("--simulator", "amaranth") as (_, port):
        talks(port, Feature(0))
        talks(port, Feature(0))


@needs_verilator
def test_a_host_talks_to_verilator_and_its_boot_nonce_tells_runs_apart() -> None:
    nonces = set()
    for _ in range(2):
        with simulated("--simulator", "verilator") as (_, port):
            talks(port, Feature(0))
            with opened_host(port) as (host, _line):
                nonces.add(host.hello().boot_nonce)
    assert len(nonces) == 2


@needs_verilator
def test_the_rate_of_a_simulated_line_is_the_one_that_pyserial_sets() -> None:
    with simulated("--serial") as (_, port):
        talks(port, Feature.BAUD)
        with opened_host(port) as (host, line):
            host.hello()
            assert host.request(MessageType.SET_BAUD, SetBaud(divisor=9).pack()) == b""
            line.baudrate = 3_000_000
            assert host.request(MessageType.CONFIRM_BAUD) == b""
            assert host.hello().divisor == 9


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_simulation_ends_cleanly_when_told(number: signal.Signals) -> None:
    with simulated("--simulator", SIMULATOR) as (process, port):
        assert Path(port).exists()
        process.send_signal(number)
        assert process.wait() == 0


def test_a_serial_line_without_verilator_is_refused_with_what_to_install() -> None:
    with printing("cwt_cli", "hw", "sim", "--serial", "--simulator", "amaranth") as (process, said):
        assert "install verilator" in said.read()
        assert process.wait() == 2
