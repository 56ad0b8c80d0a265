"""The reply subject of a message that a consumer delivers."""

from __future__ import annotations

import pytest

from cwt_runtime.bus.nats.translate import AckSubject

PLACE = AckSubject(
    stream="S", consumer="c", deliveries=1, stream_seq=2, consumer_seq=3, stored_ns=4, pending=5
)


@pytest.mark.parametrize(
    "reply",
    ["$JS.ACK.S.c.1.2.3.4.5", "$JS.ACK.hub.ACC.S.c.1.2.3.4.5", "$JS.ACK._.A.S.c.1.2.3.4.5.x"],
)
def test_the_place_of_a_delivered_message_is_read(reply: str) -> None:
    assert AckSubject.parse(reply) == PLACE


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "x",
        "_INBOX.a.1",
        "$JS.ACK",
        "$JS.ACK.S.c.1.2.3.4",
        "$JS.ACK.S.c.1.2.3.4.x",
        "$JS.ACK.S.c.1.2.3.4.-5",
        "$JS.ACK.S.c.1.2.3.4.٣",
        f"$JS.ACK.S.c.1.2.3.4.{'1' * 5000}",
        "$JS.ACK.hub.S.c.1.2.3.4.5",
    ],
)
def test_any_other_subject_has_no_place(reply: str) -> None:
    assert AckSubject.parse(reply) is None
