"""The host's side of the link against a device written from the specification."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwt_hwbridge.protocol import (
    Answered,
    Closed,
    Event,
    Fault,
    Greeted,
    Link,
    LinkState,
    LinkTiming,
    LocalProtocolError,
    RateKept,
    Refused,
    WasReset,
)
from cwt_hwbridge.protocol.states import TRANSITIONS, LinkEvent, after
from cwt_schemas.hwlink import Feature, MessageType, NakCode
from cwt_schemas.hwlink_layouts import Status
from tests.hwpeer.dialogue import Cut, Dialogue, single, whole
from tests.hwpeer.peer import DevicePeer, Identity
from tests.hwpeer.trouble import Trouble
from tests.thorough import cases


def ended(event: Event) -> bool:
    return isinstance(event, Closed | WasReset | Greeted | RateKept)


def greeted(
    peer: DevicePeer | None = None, *, trouble: Trouble | None = None, cut: Cut = whole
) -> Dialogue:
    dialogue = Dialogue(
        Link(LinkTiming(), seq=65530), peer or DevicePeer(), trouble=trouble, cut=cut
    )
    dialogue.link.greet(dialogue.now)
    events = dialogue.run(ended)
    assert isinstance(events[-1], Greeted)
    return dialogue


def ask(dialogue: Dialogue, *types: MessageType, payload: bytes = b"", job: int = 0) -> list[Event]:
    """Send requests as fast as the window allows; return what happened."""
    events: list[Event] = []
    left = list(types)
    while left or dialogue.link.unanswered:
        if any(isinstance(event, Closed | WasReset) for event in events):
            break
        while left and dialogue.link.takes(len(payload)):
            dialogue.link.send(left.pop(0), payload, dialogue.now, job=job, reply_bytes=40)
        events += dialogue.step()
    return events


@pytest.mark.parametrize("cut", [whole, single])
def test_hello_reply_identifies_device(cut: Cut) -> None:
    dialogue = greeted(cut=cut)
    assert dialogue.link.hello is not None
    assert dialogue.link.hello.build_hash == bytes(range(8))
    assert dialogue.link.state is LinkState.OPEN


@pytest.mark.parametrize("cut", [whole, single])
def test_requests_are_answered_in_their_order(cut: Cut) -> None:
    dialogue = greeted(cut=cut)
    events = ask(dialogue, *[MessageType.STATUS] * 30)
    assert [type(event) for event in events] == [Answered] * 30
    assert dialogue.link.repeats == 0


def test_no_more_is_under_way_than_the_device_can_hold() -> None:
    dialogue = greeted()
    for _ in range(8):
        dialogue.link.send(MessageType.STATUS, b"", dialogue.now)
    assert not dialogue.link.takes(0)
    with pytest.raises(LocalProtocolError, match="8 requests"):
        dialogue.link.send(MessageType.STATUS, b"", dialogue.now)


@settings(deadline=None, max_examples=cases(60))
@given(seed=st.integers(0, 2**32), rate=st.floats(0, 0.01), data=st.data())
def test_noisy_line_causes_retries_but_no_repeated_execution(
    seed: int, rate: float, data: st.DataObject
) -> None:
    random = Random(seed)

    def cut(piece: bytes) -> list[bytes]:
        parts = []
        while piece:
            size = random.randrange(1, 60)
            parts.append(piece[:size])
            piece = piece[size:]
        return parts

    dialogue = greeted(cut=cut)
    dialogue.trouble = Trouble(rate, random)
    wanted = data.draw(st.integers(1, 40))
    events = ask(dialogue, *[MessageType.LOAD_COEFFS] * wanted, payload=bytes(4 + 80))
    answered = [event for event in events if isinstance(event, Answered)]
    if len(answered) == wanted:
        assert len(dialogue.peer.executed) == wanted
        assert [event.seq for event in answered] == sorted(
            {event.seq for event in answered}, key=lambda seq: (seq - 65531) % 65536
        )
    else:  # a line so bad that three repeats were all lost is down, and says so
        assert isinstance(events[-1], Closed)
        assert rate > 0.002


def test_lost_request_is_retried_immediately_after_nak() -> None:
    dialogue = greeted()
    dialogue.link.send(MessageType.STATUS, b"", dialogue.now)
    dialogue.link.data_to_send()  # lost on the way
    dialogue.link.send(MessageType.STATUS, b"", dialogue.now)
    events = dialogue.step() + dialogue.step()
    assert [type(event) for event in events] == [Answered, Answered]
    assert dialogue.now == 0


def test_a_device_that_stops_answering_is_down_after_three_repeats() -> None:
    dialogue = greeted()
    dialogue.deaf = True
    events = ask(dialogue, MessageType.STATUS)
    assert events == [Closed(Fault.SILENT)]
    assert dialogue.link.repeats == 3
    assert dialogue.now < 1


@pytest.mark.parametrize(
    ("identity", "fault"),
    [
        (Identity(magic=b"ELM1"), Fault.STRANGER),
        (Identity(clock_hz=0), Fault.STRANGER),
        (Identity(protocol=2), Fault.VERSION),
        (Identity(version=9), Fault.VERSION),
    ],
)
def test_unknown_device_is_refused(identity: Identity, fault: Fault) -> None:
    peer = DevicePeer()
    peer.identity = identity
    dialogue = Dialogue(Link(LinkTiming()), peer)
    dialogue.link.greet(0.0)
    (event,) = dialogue.run(ended)
    assert isinstance(event, Closed)
    assert event.fault is fault


@given(noise=st.binary(min_size=1, max_size=300))
def test_garbage_is_distinguished_from_silence(noise: bytes) -> None:
    link = Link(LinkTiming())
    link.greet(0.0)
    now, events = 0.0, list[Event]()
    while not events:
        link.data_to_send()
        events = link.receive(noise, now)
        now = link.deadline or now
        events += link.tick(now)
    assert events == [Closed(Fault.GARBAGE)]
    assert now < 4


def test_a_reset_is_seen_by_its_refusal() -> None:
    dialogue = greeted()
    dialogue.peer.reset()
    assert ask(dialogue, MessageType.STATUS) == [WasReset()]


def test_reset_is_detected_by_nonce_after_another_hello() -> None:
    dialogue = greeted()
    dialogue.peer.identity = Identity(boot_nonce=99)
    assert ask(dialogue, MessageType.STATUS) == [WasReset()]


def test_refusal_is_a_reply_with_reason() -> None:
    dialogue = greeted()
    (event,) = ask(dialogue, MessageType.MC_HISTOGRAM, payload=bytes(4))
    assert isinstance(event, Refused)
    assert event.code is NakCode.JOB


def test_the_rate_changes_and_the_line_works() -> None:
    dialogue = greeted()
    dialogue.link.change_rate(27, dialogue.now)
    assert dialogue.run(ended)[-1] == RateKept(27)
    assert (dialogue.divisor, dialogue.peer.divisor) == (27, 27)
    (event,) = ask(dialogue, MessageType.STATUS)
    assert isinstance(event, Answered)
    assert len(event.payload) == Status.FORMAT.size


def test_a_rate_that_does_not_work_is_rolled_back_on_both_sides() -> None:
    dialogue = greeted()
    dialogue.link.change_rate(9, dialogue.now)
    dialogue.step()
    dialogue.deaf = True
    while dialogue.link.state is LinkState.CONFIRMING:
        dialogue.step()
    dialogue.deaf = False
    assert dialogue.run(ended)[-1] == RateKept(234)
    assert (dialogue.divisor, dialogue.peer.divisor) == (234, 234)


def test_device_whose_confirmation_was_lost_is_found_at_new_rate() -> None:
    dialogue = greeted()
    dialogue.link.change_rate(9, dialogue.now)
    dialogue.step()
    while dialogue.link.state is LinkState.CONFIRMING:
        dialogue.peer.feed(dialogue.link.data_to_send(), dialogue.now)  # its replies are lost
        dialogue.now = dialogue.link.deadline or dialogue.now
        dialogue.link.tick(dialogue.now)
    dialogue.divisor = 234
    assert dialogue.run(ended)[-1] == RateKept(9)
    assert dialogue.divisor == 9


def test_a_device_without_a_rate_keeps_the_one_it_has() -> None:
    dialogue = greeted(DevicePeer(Identity(features=Feature.FIR)))
    dialogue.link.change_rate(9, dialogue.now)
    assert dialogue.run(ended) == [RateKept(234)]


@given(data=st.binary(max_size=2000), greet=st.booleans())
def test_arbitrary_bytes_do_not_break_link(data: bytes, greet: bool) -> None:
    dialogue = greeted()
    if greet:
        dialogue.link.greet(0.0)
    else:
        dialogue.link.send(MessageType.STATUS, b"", 0.0)
    for event in dialogue.link.receive(data, 0.0):
        assert isinstance(event, Event)


def test_every_state_says_what_may_happen_in_it() -> None:
    assert set(TRANSITIONS) == set(LinkState)
    with pytest.raises(LocalProtocolError, match=r"rate.*down"):
        after(LinkState.DOWN, LinkEvent.RATE)
