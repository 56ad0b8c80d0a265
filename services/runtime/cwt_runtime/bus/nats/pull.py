"""Pull requests to a JetStream consumer, one at a time, by one reader.

nats-py's `fetch` withholds a batch until it is full or has timed out, which delays live results.
Here messages are passed on as they arrive, and the next request is sent when the last one is used
up or answered with a status.

Every request has its own reply subject ``<inbox>.<number>``, and the server's status messages
arrive on it, so that a late status of an old request is not taken for one of the current request.
Delivered messages arrive under their own subject. While a request is outstanding the server sends
a heartbeat; when none comes the request is considered lost (server restart, connection loss).

A lost request may still be valid on the server: after a stall, everything sent meanwhile arrives.
So the inbox is replaced before the next request, and the server drops the requests of an inbox
without a subscriber: it delivers the messages of one request, even if several were sent. No request
is sent during a reconnect. Messages that still arrive on an old inbox are returned to the queue.

Any client may publish to an inbox. A message that is neither of this stream and consumer nor a
status is ignored and counted (``cwt_bus_ignored_total``).

A paused consumer sends heartbeats like an idle one. While a consumer that was created for one
reader is idle, `Pull` therefore requests its state, and abandons it if it is paused.

A reader may wait for an arbitrarily short time and be cancelled anywhere. Everything that takes
time therefore happens outside of `Pull.next`: callbacks of the connection and timers of the event
loop handle replies, silence, pauses and refusals, and store the outcome in attributes. `next` sends
a request if necessary, without waiting for the reply, and waits for a message.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import ExitStack, suppress
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
from cwt_runtime.bus.nats.client import STORE_TIMEOUT_S, ForbiddenSubjectError, OrderedClient
from cwt_runtime.bus.nats.translate import AckSubject, bus_error
from cwt_runtime.telemetry import metrics

__all__ = ["SILENCE_S", "ConsumerGoneError", "NoMessagesError", "Pull", "Pulled"]

#: Time after which a pull request expires on the server, seconds.
EXPIRES_S = 30.0
#: Interval of the server's heartbeats.
HEARTBEAT_S = 0.5
#: Number of heartbeats without a message after which to check whether the consumer is paused.
IDLE_HEARTBEATS = 10
#: Time without a message or heartbeat after which the request is considered lost, seconds.
SILENCE_S = 1.25
#: Silence is counted in steps of this length, seconds. A process that was halted or busy for longer
#: counts one step, because messages that arrived meanwhile have not been read yet.
STEP_S = 0.25
#: Byte limit of a request. It keeps the output that the server buffers for this connection below
#: the server's limit (64 MiB by default), above which the server closes the connection.
MAX_BYTES = 32 * 1024 * 1024
#: Pause after the server refused a request temporarily, seconds.
REFUSED_WAIT_S = 0.2
#: Interval of checks whether the connection is restored, seconds.
RECONNECT_POLL_S = 0.1

HEARTBEAT = "100"
NO_RESPONDERS = "503"
NO_MESSAGES = "404"
CONFLICT = "409"
#: All statuses; those without a constant are bad request, time-out, and wrong pin id.
STATUSES = {HEARTBEAT, NO_RESPONDERS, NO_MESSAGES, CONFLICT, "400", "408", "423"}
#: Type of the reply to a request to create a consumer.
CREATED = "io.nats.jetstream.api.v1.consumer_create_response"
#: Type of the reply to a request for the state of a consumer, and the end of its subject.
STATE = "io.nats.jetstream.api.v1.consumer_info_response"
INFO = ".info"
#: Descriptions of conflicts that only report that a request with a byte limit is fulfilled.
FULFILLED = ("Batch Completed", "Message Size Exceeds MaxBytes")
NANOSECONDS = 1_000_000_000


class Pulled(NamedTuple):
    """A delivered message and its position in the stream."""

    msg: Msg
    place: AckSubject


class ConsumerGoneError(Exception):
    """The consumer does not exist, or its stream has not started yet."""


class NoMessagesError(Exception):
    """The consumer has delivered all stored messages."""


class Pull:
    """The messages that one reader pulls from a consumer.

    Parameters
    ----------
    consumer
        Name of the consumer on the server.
    batch, max_bytes
        Maximum number of messages and bytes per request.
    no_wait
        Do not wait for new messages: if there are none, `next` raises `NoMessagesError`.
    create
        Configuration of the consumer, to create it before the first pull request; None if it
        exists.
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
        #: Configuration of the consumer until the server has confirmed its creation.
        self._create = create
        #: Whether the consumer belongs to this reader only.
        self._is_own = create is not None
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._number = 0
        #: Number of reconnects when the current request was sent.
        self._reconnects = 0
        #: Number of messages outstanding of the current request.
        self._wanted = 0
        #: The current request is considered lost; its inbox is replaced before the next one.
        self._lost = False
        #: Error that `next` raises once, after the pause.
        self._refusal: BusError | ConsumerGoneError | None = None
        #: The server reported that no messages are left; only with `no_wait`.
        self._is_empty = False
        self._arrived: deque[Pulled] = deque()
        self._news = anyio.Event()
        #: Steps of silence while a request is outstanding.
        self._silent_steps = 0
        #: Heartbeats since the last message.
        self._heartbeats = 0
        self._clock: asyncio.TimerHandle | None = None
        #: Reports that the current request is not permitted.
        self._forbidden = ExitStack()
        #: Until this timer expires, no request is sent and no refusal is raised.
        self._pause: asyncio.TimerHandle | None = None

    async def remove_consumer(self) -> None:
        """Remove the consumer now instead of waiting for its expiry on the server."""
        if self._number and self._client.is_connected:
            await self._client.publish(
                f"{self._client.js_api}.CONSUMER.DELETE.{self._stream}.{self._consumer}",
                b"",
                reply=f"{self._inbox}.removed",
            )

    async def open(self) -> None:
        """Subscribe to a new inbox in place of the old one."""
        old, self._inbox = self._subscription, self._client.new_inbox()
        with anyio.CancelScope(shield=True):  # only appends two lines to the output buffer
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
            No messages are left; only with `no_wait`.
        BusClosedError
            The connection is closed permanently.
        BusError
            The server refuses to create the consumer permanently.
        """
        await anyio.lowlevel.checkpoint()
        while not self._arrived:
            if self._client.is_closed:
                raise BusClosedError("the connection to NATS is closed")
            if self._is_empty:
                raise NoMessagesError
            if self._wanted > 0 or self._pause is not None:
                await self._news.wait()
            elif self._refusal is not None:
                refusal, self._refusal = self._refusal, None
                raise refusal
            elif not self._client.is_connected:
                self._start_pause(RECONNECT_POLL_S)
            else:
                await self._request()
        return self._arrived.popleft()

    def take_buffered(self) -> list[Pulled]:
        """Remove and return the messages that have arrived but were not read."""
        messages = list(self._arrived)
        self._arrived.clear()
        return messages

    async def close(self) -> None:
        """Cancel the timers and unsubscribe."""
        for timer in (self._clock, self._pause):
            if timer is not None:
                timer.cancel()
        self._forbidden.close()
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not self._client.is_closed:
            await subscription.unsubscribe()

    async def _request(self) -> None:
        """Send the next request; `_take` gets the reply."""
        is_lost, self._lost = self._lost, False
        if is_lost and self._create:
            # A cluster may have assigned the name to a node that has just died. No other node
            # replies for this name, but the cluster may assign a new name to a live node.
            raise ConsumerGoneError("the server did not confirm the new consumer")
        if is_lost and self._no_wait:
            # Messages that arrived too late are lost: the next reply would be "no messages".
            raise ConsumerGoneError("the server did not reply to a request for messages")
        if self._subscription is None or is_lost:
            await self.open()
        self._number += 1
        self._reconnects = self._client.stats["reconnects"]
        subject, body = self._creation(self._create) if self._create else self._pull_request()
        self._wanted = 1 if self._create else self._batch
        self._watch_for_silence()
        self._forbidden.close()
        self._forbidden.enter_context(
            self._client.when_forbidden(subject, partial(self._take_forbidden, subject))
        )
        await self._client.publish(
            subject, json.dumps(body).encode(), reply=f"{self._inbox}.{self._number}"
        )

    def _creation(self, config: ConsumerConfig) -> tuple[str, dict[str, Any]]:
        subject = f"{self._client.js_api}.CONSUMER.CREATE.{self._stream}.{self._consumer}"
        named = config.evolve(name=self._consumer)
        filters = config.filter_subjects or []
        if len(filters) == 1:
            # The server checks it against the subject, so permissions can restrict what is read.
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
        """Count a step of silence; after too many, the current request is lost."""
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
            self._wake()

    def _start_pause(self, seconds: float) -> None:
        self._pause = asyncio.get_running_loop().call_later(seconds, self._end_pause)

    def _end_pause(self) -> None:
        self._pause = None
        self._wake()

    def _refuse(self, refusal: BusError | ConsumerGoneError | None) -> None:
        """Pause; then `next` raises `refusal`, or sends the request again if it is None."""
        self._refusal = refusal
        if self._pause is None:
            self._start_pause(REFUSED_WAIT_S)

    async def _take(self, inbox: str, msg: Msg) -> None:
        place = self._place_of(msg)
        if inbox != self._inbox:
            if place is not None:
                with suppress(nats.errors.Error):  # else it is redelivered after the deadline
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
        self._wake()

    def _place_of(self, msg: Msg) -> AckSubject | None:
        """Return the position of a message if it is of this stream and consumer, else None."""
        place = AckSubject.parse(msg.reply)
        if place is None or (place.stream, place.consumer) != (self._stream, self._consumer):
            return None
        return place

    def _take_answer(self, msg: Msg) -> bool:
        """Process the server's reply to a request; return False if `msg` is not a reply."""
        if msg.subject.endswith(INFO):
            return self._take_info(msg)
        return self._take_status(msg) if self._create is None else self._take_creation(msg)

    def _take_forbidden(self, subject: str) -> None:
        """Record that the user has no permission for the current request."""
        self._wanted = 0
        self._refusal = bus_error(ForbiddenSubjectError(subject))
        self._wake()

    def _wake(self) -> None:
        """Wake the reader."""
        self._news.set()
        self._news = anyio.Event()

    def _take_creation(self, msg: Msg) -> bool:
        """Process the reply to a request to create the consumer."""
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
        with suppress(nats.errors.Error):  # requested again after `IDLE_HEARTBEATS`
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
    """Return the error in a reply of the JetStream API, or None."""
    if "error" not in answer:
        return None
    try:
        return bus_error(nats.js.errors.APIError.from_error(answer["error"]))
    except nats.js.errors.APIError as error:  # the driver raises some errors and returns others
        return bus_error(error)
