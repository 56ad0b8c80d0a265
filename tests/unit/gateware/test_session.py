"""The rows of the tables in docs/hardware-link.md, asked of the design itself, byte by byte."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwt_gateware.device import Device
from cwt_gateware.identity import Identity
from cwt_gateware.sim.engine import Engine
from cwt_gateware.sim.interpreted import Interpreted
from cwt_schemas.hwlink import (
    BAD_FRAMES_TO_DEFAULT_RATE,
    MAGIC,
    NAK,
    REPLY,
    WINDOW,
    Feature,
    MessageType,
    NakCode,
    State,
)
from cwt_schemas.hwlink_layouts import Header, HelloReply, Nak, SetBaud, Status
from tests.thorough import cases
from tests.unit.gateware.host import CLOCKS, HELLO, Host, asking, frame, opened

#: Each is short; together they take as long as a slow one.
pytestmark = pytest.mark.slow

CONFIRM_CLOCKS = 2000
IDENTITY = Identity(
    build_hash=b"12345678",
    features=Feature.BAUD | Feature.SIMULATED,
    confirm_clocks=CONFIRM_CLOCKS,
)
ENTROPY = 99


@pytest.fixture(scope="module")
def device() -> Interpreted:
    """Simulating a design begins with half a second of compiling it."""
    return Interpreted(Device(IDENTITY), ENTROPY)


@pytest.fixture
def engine(device: Interpreted) -> Engine:
    device.power_cycle(ENTROPY)
    return device


@pytest.fixture
def host(engine: Engine) -> Host:
    return Host(asking(engine))


def refusal(encoded: bytes) -> tuple[Header, Nak]:
    header, payload = opened(encoded)
    assert header.type == NAK
    return header, Nak.unpack(payload)


def code(encoded: bytes) -> NakCode:
    return NakCode(refusal(encoded)[1].code)


def status(host: Host) -> Status:
    answer = host.request(MessageType.STATUS)
    assert isinstance(answer, bytes)
    return Status.unpack(answer)


@pytest.mark.slow
def test_hello_describes_design(host: Host) -> None:
    hello = host.hello()
    assert hello == HelloReply(
        boot_nonce=hello.boot_nonce,
        build_hash=IDENTITY.build_hash,
        clock_hz=27_000_000,
        confirm_clocks=CONFIRM_CLOCKS,
        features=IDENTITY.features,
        divisor=234,
        lanes=2,
        coefficients=2048,
        taps=256,
        coefficient_bits=16,
        sample_bits=16,
    )
    assert hello.boot_nonce != 0


def test_nothing_but_hello_is_answered_before_a_hello(host: Host) -> None:
    header, nak = refusal(host.ask(frame(MessageType.STATUS, 5, job=3)))
    assert header == Header(type=NAK, seq=5, job=3)
    assert nak == Nak(code=NakCode.NO_SESSION, type=MessageType.STATUS, expected=0)


@pytest.mark.parametrize(
    ("payload", "why"),
    [(b"", NakCode.LENGTH), (MAGIC + b"..", NakCode.LENGTH), (b"CWTm", NakCode.RANGE)],
)
def test_a_refused_hello_begins_no_session_and_ends_none(
    host: Host, payload: bytes, why: NakCode
) -> None:
    assert code(host.ask(frame(MessageType.HELLO, 50, payload))) == why
    assert code(host.ask(frame(MessageType.STATUS, 51))) == NakCode.NO_SESSION
    host.hello()
    kept = host.ask(frame(MessageType.STATUS, host.seq))
    assert refusal(host.ask(frame(MessageType.HELLO, 50, payload)))[1].expected == host.seq + 1
    assert host.ask(frame(MessageType.STATUS, host.seq)) == kept


def test_sequence_numbers_wrap_around(host: Host) -> None:
    host.hello(seq=2**16 - 2)
    assert [status(host).state for _ in range(3)] == [State.IDLE] * 3
    assert host.seq == 2


def test_repeated_number_gets_stored_reply_whatever_its_content(host: Host) -> None:
    host.hello()
    first = [
        host.ask(frame(0x70 + i if i % 2 else MessageType.STATUS, host.seq + i))
        for i in range(WINDOW)
    ]
    again = [host.ask(frame(MessageType.ABORT, host.seq + i)) for i in range(WINDOW)]
    assert again == first


def test_what_was_before_the_kept_replies_or_comes_too_early_is_refused(host: Host) -> None:
    host.hello()
    begin = host.seq
    for _ in range(WINDOW + 1):
        status(host)
    for seq in (begin, begin - 1, host.seq + 1, host.seq + 2**15):
        header, nak = refusal(host.ask(frame(MessageType.STATUS, seq)))
        assert header.seq == seq % 2**16
        assert nak == Nak(code=NakCode.SEQUENCE, type=MessageType.STATUS, expected=host.seq)
    assert opened(host.ask(frame(MessageType.STATUS, begin + 1)))[0].type == 0x82


def test_hello_discards_stored_replies(host: Host) -> None:
    host.hello(seq=100)
    status(host)
    host.hello(seq=101)
    assert code(host.ask(frame(MessageType.STATUS, 101))) == NakCode.SEQUENCE
    assert code(host.ask(frame(MessageType.STATUS, 100))) == NakCode.SEQUENCE
    assert opened(host.ask(frame(MessageType.STATUS, 102)))[0].seq == 102


def test_a_refusal_counts_as_executed_and_is_kept(host: Host) -> None:
    host.hello()
    refused = host.ask(frame(0x7E, host.seq, job=9))
    assert refusal(refused) == (
        Header(type=NAK, seq=host.seq, job=9),
        Nak(code=NakCode.TYPE, type=0x7E, expected=host.seq + 1),
    )
    assert host.ask(frame(0x7E, host.seq, job=9)) == refused


def test_another_version_is_refused_with_ones_own(host: Host) -> None:
    host.hello()
    header, nak = refusal(host.ask(frame(MessageType.STATUS, host.seq, version=2)))
    assert (header.version, header.seq) == (1, host.seq)
    assert (nak.code, nak.expected) == (NakCode.VERSION, host.seq)


def test_a_frame_that_cannot_be_read_is_refused_counted_and_not_executed(host: Host) -> None:
    host.hello()
    damaged = bytearray(frame(MessageType.STATUS, host.seq, job=4))
    damaged[1] ^= 0x40
    header, nak = refusal(host.ask(bytes(damaged)))
    assert header == Header(type=NAK, seq=host.seq)
    assert nak == Nak(code=NakCode.BAD_FRAME, type=0, expected=host.seq)
    assert status(host).bad_frames == 1


@pytest.mark.parametrize("kind", [MessageType.STATUS, MessageType.RESET, MessageType.ABORT])
def test_a_payload_of_another_length_is_refused(host: Host, kind: MessageType) -> None:
    host.hello()
    assert host.request(kind, b"ab") == Nak(code=NakCode.LENGTH, type=kind, expected=host.seq)
    assert status(host).boot_nonce == host.hello().boot_nonce


def test_full_window_of_requests_is_answered_in_order(engine: Engine) -> None:
    Host(asking(engine)).hello(seq=0)
    burst = b"".join(frame(MessageType.STATUS, seq) for seq in range(1, WINDOW + 1))
    replies = engine.run(burst, CLOCKS).sent.split(b"\0")[:-1]
    assert [opened(reply)[0].seq for reply in replies] == [*range(1, WINDOW + 1)]


def test_reset_is_answered_and_then_all_is_as_after_power_up_but_the_nonce(host: Host) -> None:
    before = host.hello().boot_nonce
    assert host.request(MessageType.SET_BAUD, SetBaud(divisor=9).pack()) == b""
    assert host.request(MessageType.RESET) == b""
    assert code(host.ask(frame(MessageType.STATUS, host.seq))) == NakCode.NO_SESSION
    after = host.hello()
    assert after.boot_nonce not in {0, before}
    assert after.divisor == 234
    assert status(host).bad_frames == 0


def test_new_rate_is_confirmed_and_repeated_request_changes_nothing(
    host: Host,
) -> None:
    host.hello()
    asked = frame(MessageType.SET_BAUD, host.seq, SetBaud(divisor=27).pack())
    reply = host.ask(asked)
    host.seq += 1
    assert host.request(MessageType.CONFIRM_BAUD) == b""
    assert host.request(MessageType.SET_BAUD, SetBaud(divisor=9).pack()) == b""
    assert host.ask(asked) == reply
    assert host.hello().divisor == 9


def test_unconfirmed_rate_reverts_to_last_confirmed(host: Host, engine: Engine) -> None:
    host.hello()
    host.request(MessageType.SET_BAUD, SetBaud(divisor=27).pack())
    assert host.request(MessageType.CONFIRM_BAUD) == b""
    for divisor in (9, 18):
        host.request(MessageType.SET_BAUD, SetBaud(divisor=divisor).pack())
    assert host.hello().divisor == 18
    engine.run(b"", 2 * CONFIRM_CLOCKS)
    assert host.hello().divisor == 27


@pytest.mark.parametrize("divisor", [0, 7])
def test_a_rate_that_the_receiver_cannot_follow_is_refused(host: Host, divisor: int) -> None:
    host.hello()
    refused = host.request(MessageType.SET_BAUD, SetBaud(divisor=divisor).pack())
    assert refused == Nak(code=NakCode.RANGE, type=MessageType.SET_BAUD, expected=host.seq)
    assert host.hello().divisor == 234


def test_sixteen_bad_frames_in_a_row_bring_the_first_rate_back(host: Host) -> None:
    host.hello()
    host.request(MessageType.SET_BAUD, SetBaud(divisor=9).pack())
    host.request(MessageType.CONFIRM_BAUD)
    for _ in range(BAD_FRAMES_TO_DEFAULT_RATE - 1):
        host.ask(b"\x05\x01\0")
    assert host.hello().divisor == 9
    for _ in range(BAD_FRAMES_TO_DEFAULT_RATE):
        assert code(host.ask(b"\x05\x01\0")) == NakCode.BAD_FRAME
    assert host.hello().divisor == 234


def test_a_design_without_a_line_or_a_data_path_refuses_what_needs_them() -> None:
    bare = Identity(build_hash=bytes(8), features=Feature.SIMULATED)
    host = Host(asking(Interpreted(Device(bare), ENTROPY)))
    assert host.hello().features == Feature.SIMULATED
    for kind in (*range(3, 5), *range(0x10, 0x14), 0x18, 0x20, 0x21):
        answer = host.request(kind)
        assert isinstance(answer, Nak)
        assert answer.code == NakCode.TYPE


def test_the_boot_nonce_of_two_simulations_differs(device: Interpreted) -> None:
    nonces = set()
    for entropy in (1, 2):
        device.power_cycle(entropy)
        nonces.add(Host(asking(device)).hello().boot_nonce)
    assert len(nonces) == 2


def test_power_cycled_device_is_in_initial_state(device: Interpreted) -> None:
    answers = []
    for engine in (Interpreted(Device(IDENTITY), ENTROPY), device, device):
        if engine is device:
            device.power_cycle(ENTROPY)
        ask = asking(engine)
        answers.append(
            [
                ask(frame(MessageType.HELLO, 7, HELLO)),
                ask(b"\x05\x01\0"),
                ask(frame(MessageType.STATUS, 8)),
            ]
        )
    assert answers[1:] == answers[:1] * 2


@settings(max_examples=cases(32))
@given(noise=st.binary(max_size=300), rng=st.randoms(use_true_random=False))
def test_after_any_noise_a_hello_is_answered(
    device: Interpreted, noise: bytes, rng: random.Random
) -> None:
    device.power_cycle(ENTROPY)
    line = noise + b"\0" + frame(MessageType.HELLO, 7, HELLO)
    sent = b""
    while line:
        size = rng.randint(1, 60)
        sent += device.run(line[:size], CLOCKS).sent
        line = line[size:]
    header, payload = opened(sent.split(b"\0")[-2])
    assert header == Header(type=MessageType.HELLO | REPLY, seq=7)
    assert HelloReply.unpack(payload).magic == MAGIC
