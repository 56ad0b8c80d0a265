"""Pull requests to a JetStream consumer, one at a time, by one reader.

nats-py's `fetch` holds a batch back until it is full or the time is up; a live system cannot wait.
Here messages are passed on as they arrive, and the next request is sent when the last one is used
up or answered with a status.

Every request has its own reply subject ``<inbox>.<number>``, and the server's status messages
arrive on it, so that a late status of an old request is not taken for one of the current request.
Delivered messages arrive under their own subject. While a request is outstanding the server sends
a heartbeat; when none comes the request is considered lost (server restart, connection loss).

A lost request may still be valid on the server: one that was only stalled reads everything sent to
it meanwhile. So before the next request the inbox is replaced by a new one, and the server drops
the requests of an inbox without a subscriber: it delivers what one request asked for, however many
were sent. No request is sent while the connection is being restored; what the old inbox still
brings is handed back.

Any client may publish to an inbox. A message that is neither of this stream and consumer nor a
status is ignored and counted (``cwt_bus_ignored_total``).

A paused consumer sends heartbeats as an idle one does. So while a consumer that was created for one
reader is idle, `Pull` asks for its state; a paused one is given up.

A reader may wait for any time, however short, and be cancelled anywhere. So everything that takes
time happens outside of `Pull.next`: replies, silence, pauses and refusals are handled in callbacks
of the connection and timers of the event loop, which leave their outcome in fields. `next` sends
the request that is due, without waiting for the reply, and waits for a message.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import anyio
import anyio.lowlevel
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import ConsumerConfig

from cwt_runtime.bus.errors import BusClosedError, BusError
from cwt_runtime.bus.nats.client import STORE_TIMEOUT_S, OrderedClient
from cwt_runtime.bus.nats.translate import AckSubject, bus_error
from cwt_runtime.telemetry import metrics

__all__ = ["SILENCE_S", "ConsumerGoneError", "NoMessagesError", "Pull", "Pulled"]

#: A pull request lives this long on the server.
EXPIRES_S = 30.0
#: Interval of the server's heartbeats.
HEARTBEAT_S = 0.5
#: Heartbeats without a message after which the server is asked whether the consumer is paused.
IDLE_HEARTBEATS = 10
#: After this long without a message the request is considered lost.
SILENCE_S = 1.25
#: Silence is counted in steps of this length. A process that was halted or busy for longer counts
#: one step: messages that arrived meanwhile have not been read yet.
STEP_S = 0.25
#: A request brings no more than this, so that the server never has more waiting for this connection
#: than it allows (64 MiB by default), however large the messages are; above it, it cuts us off.
MAX_BYTES = 32 * 1024 * 1024
#: Pause after the server said that it cannot serve a request at the moment.
REFUSED_WAIT_S = 0.2
#: Interval of checks whether the connection is restored.
RECONNECT_POLL_S = 0.1

HEARTBEAT = "100"
NO_RESPONDERS = "503"
NO_MESSAGES = "404"
CONFLICT = "409"
#: The other statuses: bad request, time over, no such consumer, too many requests.
STATUSES = {HEARTBEAT, NO_RESPONDERS, NO_MESSAGES, CONFLICT, "400", "408", "423"}
#: The type of the reply to a request to create a consumer.
CREATED = "io.nats.jetstream.api.v1.consumer_create_response"
#: The type of the reply to a request for the state of a consumer, and the end of its subject.
STATE = "io.nats.jetstream.api.v1.consumer_info_response"
INFO = ".info"
#: Descriptions of the conflicts that only say that a request with a byte limit is fulfilled.
FULFILLED = ("Batch Completed", "Message Size Exceeds MaxBytes")
NANOSECONDS = 1_000_000_000


class Pulled(NamedTuple):
    """A message that the consumer delivered, and its place in the stream."""

    msg: Msg
    place: AckSubject


class ConsumerGoneError(Exception):
    """The consumer does not exist (any more), or its stream is not up yet."""


class NoMessagesError(Exception):
    """The consumer has passed on everything that its stream holds."""


class Pull:
    """The messages that one reader pulls from a consumer.

    Parameters
    ----------
    consumer
        Its name on the server.
    batch, max_bytes
        What one request brings at most.
    no_wait
        Let the server answer that there is nothing instead of waiting for new messages; `next`
        then raises `NoMessagesError`.
    create
        Configuration of a consumer to create before the first pull request. None: it exists.
    """

    def __init__(
        self,
        client: OrderedClient,
        stream: str,
        consumer: str,
        *,
        batch: int,
        max_bytes: int = MAX_BYTES,
        no_wait: bool = False,
        create: ConsumerConfig | None = None,
    ) -> None:
        self._client = client
        self._stream = stream
        self._consumer = consumer
        self._batch = batch
        self._max_bytes = max_bytes
        self._no_wait = no_wait
        #: Of a consumer that the server has not confirmed yet.
        self._create = create
        #: The consumer is this reader's alone.
        self._is_own = create is not None
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._number = 0
        #: Of the connection, when the present request was sent.
        self._reconnects = 0
        #: What the present request has not brought yet.
        self._wanted = 0
        #: The present request is considered lost: its inbox has to go before the next one.
        self._lost = False
        #: Raised once by `next`, after the pause.
        self._refusal: BusError | ConsumerGoneError | None = None
        #: The server answered that there is nothing left; only with `no_wait`.
        self._is_empty = False
        self._arrived: deque[Pulled] = deque()
        self._word = anyio.Event()
        #: Steps without a word while a request is outstanding.
        self._silent_steps = 0
        #: Heartbeats since the last message.
        self._heartbeats = 0
        self._clock: asyncio.TimerHandle | None = None
        #: No request is sent and no refusal is raised before it ends.
        self._pause: asyncio.TimerHandle | None = None

    async def remove_consumer(self) -> None:
        """Remove the consumer that was requested, without waiting until the server expires it."""
        if self._number and self._client.is_connected:
            await self._client.publish(
                f"{self._client.js_api}.CONSUMER.DELETE.{self._stream}.{self._consumer}",
                b"",
                reply=f"{self._inbox}.removed",
            )

    async def open(self) -> None:
        """Subscribe to a new inbox in place of the old one."""
        old, self._inbox = self._subscription, self._client.new_inbox()
        with anyio.CancelScope(shield=True):  # two lines into the connection's buffer
            self._subscription = await self._client.subscribe_straight(
                f"{self._inbox}.*", partial(self._take, self._inbox)
            )
            if old is not None:
                await old.unsubscribe()

    async def next(self) -> Pulled:
        """Wait for the next message.

        Raises
        ------
        ConsumerGoneError
            The consumer no longer exists, or the reply to its creation is lost; with `no_wait`,
            also if the reply to another request is lost.
        NoMessagesError
            With `no_wait`: nothing is left.
        BusClosedError
            The connection is closed for good.
        BusError
            The server refuses to create the consumer, and a retry would not help.
        """
        await anyio.lowlevel.checkpoint()
        while not self._arrived:
            if self._client.is_closed:
                raise BusClosedError("the connection to NATS is closed")
            if self._is_empty:
                raise NoMessagesError
            if self._wanted > 0 or self._pause is not None:
                await self._word.wait()
            elif self._refusal is not None:
                refusal, self._refusal = self._refusal, None
                raise refusal
            elif not self._client.is_connected:
                self._start_pause(RECONNECT_POLL_S)
            else:
                await self._request()
        return self._arrived.popleft()

    def take_buffered(self) -> list[Pulled]:
        """Remove and return the messages that have arrived and were not read."""
        messages = list(self._arrived)
        self._arrived.clear()
        return messages

    async def close(self) -> None:
        """Stop listening."""
        for timer in (self._clock, self._pause):
            if timer is not None:
                timer.cancel()
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not self._client.is_closed:
            await subscription.unsubscribe()

    async def _request(self) -> None:
        """Send the next request; its answer comes to `_take`."""
        is_lost, self._lost = self._lost, False
        if is_lost and self._create:
            # A cluster may have assigned the name to a node that has just died: no other node
            # answers for it, but it may assign another name to a live one.
            raise ConsumerGoneError("the reply to the creation of a consumer is lost")
        if is_lost and self._no_wait:
            # What the request brought too late is gone: the next answer would be "no messages".
            raise ConsumerGoneError("the reply to a request is lost")
        if self._subscription is None or is_lost:
            await self.open()
        self._number += 1
        self._reconnects = self._client.stats["reconnects"]
        subject, body = self._creation(self._create) if self._create else self._pull_request()
        self._wanted = 1 if self._create else self._batch
        self._watch_for_silence()
        await self._client.publish(
            subject, json.dumps(body).encode(), reply=f"{self._inbox}.{self._number}"
        )

    def _creation(self, config: ConsumerConfig) -> tuple[str, dict[str, Any]]:
        subject = f"{self._client.js_api}.CONSUMER.CREATE.{self._stream}.{self._consumer}"
        named = config.evolve(name=self._consumer)
        filters = config.filter_subjects or []
        if len(filters) == 1:
            # The server compares it with the subject: permissions can restrict what is read.
            subject = f"{subject}.{filters[0]}"
            named = named.evolve(filter_subject=filters[0], filter_subjects=None)
        return subject, {"stream_name": self._stream, "config": named.as_dict()}

    def _pull_request(self) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {"batch": self._batch, "max_bytes": self._max_bytes}
        if self._no_wait:
            body["no_wait"] = True
        else:
            body["expires"] = int(EXPIRES_S * NANOSECONDS)
            body["idle_heartbeat"] = int(HEARTBEAT_S * NANOSECONDS)
        return f"{self._client.js_api}.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}", body

    def _watch_for_silence(self) -> None:
        self._silent_steps = 0
        if self._clock is None:
            self._clock = asyncio.get_running_loop().call_later(STEP_S, self._step)

    def _step(self) -> None:
        """Count a step without a word; after too many, the present request is lost."""
        self._clock = None
        if self._wanted <= 0:
            return
        self._silent_steps += 1
        # The server sends no heartbeats while it creates a consumer.
        patience_s = STORE_TIMEOUT_S if self._create else SILENCE_S
        is_same = self._client.stats["reconnects"] == self._reconnects
        if is_same and self._silent_steps * STEP_S < patience_s:
            self._clock = asyncio.get_running_loop().call_later(STEP_S, self._step)
        else:
            self._wanted = 0
            self._lost = True
            self._say()

    def _start_pause(self, seconds: float) -> None:
        self._pause = asyncio.get_running_loop().call_later(seconds, self._end_pause)

    def _end_pause(self) -> None:
        self._pause = None
        self._say()

    def _refuse(self, refusal: BusError | ConsumerGoneError | None) -> None:
        """Send nothing for a while; then `next` raises `refusal`, or retries if it is None."""
        self._refusal = refusal
        if self._pause is None:
            self._start_pause(REFUSED_WAIT_S)

    async def _take(self, inbox: str, msg: Msg) -> None:
        place = self._place_of(msg)
        if inbox != self._inbox:
            if place is not None:
                with suppress(nats.errors.Error):  # else it is handed out again after the deadline
                    await msg.nak()
            return
        if place is not None:
            self._wanted -= 1
            self._heartbeats = 0
            self._arrived.append(Pulled(msg, place))
        elif msg.reply or not self._take_answer(msg):
            metrics.BUS_IGNORED.inc()
            return
        self._silent_steps = 0
        if self._is_own and self._heartbeats >= IDLE_HEARTBEATS:
            self._heartbeats = 0
            await self._ask_info()
        self._say()

    def _place_of(self, msg: Msg) -> AckSubject | None:
        """Return the place of a message of this stream and consumer; None if it is not one."""
        place = AckSubject.parse(msg.reply)
        if place is None or (place.stream, place.consumer) != (self._stream, self._consumer):
            return None
        return place

    def _take_answer(self, msg: Msg) -> bool:
        """Read what the server answers to a request; return False if that is not what it is."""
        if msg.subject.endswith(INFO):
            return self._take_info(msg)
        return self._take_status(msg) if self._create is None else self._take_creation(msg)

    def _say(self) -> None:
        """Wake the reader."""
        self._word.set()
        self._word = anyio.Event()

    def _take_creation(self, msg: Msg) -> bool:
        """Read the reply to a request to create the consumer."""
        if (msg.headers or {}).get("Status") == NO_RESPONDERS:
            self._wanted = 0
            self._refuse(None)  # JetStream is starting
            return True
        try:
            answer = json.loads(msg.data)
            if answer["type"] != CREATED:
                return False
            error = _error_of(answer)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            return False
        self._wanted = 0
        if error is None:
            self._create = None
        else:
            self._refuse(None if error.transient else error)
        return True

    async def _ask_info(self) -> None:
        with suppress(nats.errors.Error):  # asked again after as many heartbeats
            await self._client.publish(
                f"{self._client.js_api}.CONSUMER.INFO.{self._stream}.{self._consumer}",
                b"",
                reply=f"{self._inbox}{INFO}",
            )

    def _take_info(self, msg: Msg) -> bool:
        try:
            answer = json.loads(msg.data)
            if answer["type"] != STATE:
                return False
        except (KeyError, TypeError, ValueError, RecursionError):
            return False
        if answer.get("paused"):
            self._wanted = 0
            self._refuse(ConsumerGoneError("the consumer is paused"))
        return True

    def _take_status(self, msg: Msg) -> bool:
        headers = msg.headers or {}
        status = headers.get("Status")
        if status not in STATUSES:
            return False
        self._heartbeats += status == HEARTBEAT
        if status == HEARTBEAT or not msg.subject.endswith(f".{self._number}"):
            return True
        self._wanted = 0
        detail = headers.get("Description", "")
        self._is_empty = self._no_wait and status == NO_MESSAGES
        if status in {NO_RESPONDERS, CONFLICT} and detail not in FULFILLED:
            is_gone = status == NO_RESPONDERS or "Deleted" in detail
            self._refuse(ConsumerGoneError(detail or "no such consumer") if is_gone else None)
        return True


def _error_of(answer: dict[str, Any]) -> BusError | None:
    """Return the error in an answer of the JetStream API, None if there is none."""
    if "error" not in answer:
        return None
    try:
        return bus_error(nats.js.errors.APIError.from_error(answer["error"]))
    except nats.js.errors.APIError as error:  # the driver raises some and returns others
        return bus_error(error)
