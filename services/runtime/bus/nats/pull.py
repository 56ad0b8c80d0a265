"""Pulling from a JetStream consumer, message by message, as they come.

nats-py's `fetch` holds a batch back until it is full or the time is up; a live system cannot wait.
Here one pull request is outstanding at a time; messages are passed on as they arrive, and the next
request goes out when the last one is used up or answered with a status.

Rules. Every request has its own reply subject ``<inbox>.<number>``, and the server's status
messages arrive on it, so that a late status of an old request is not taken for the present one's.
Delivered messages arrive under their own subject. While a request is outstanding the server sends
a heartbeat; when none comes the request is taken for lost (server restart, connection loss).

A request taken for lost may still stand: a server that was only stalled reads everything sent to
it meanwhile. So before the next request the inbox is given up for a new one, and the server drops
the requests of an inbox that nobody listens to: it hands out what one request asked for, however
many were sent. No request is sent while the connection is being made again; what the old inbox
still brings is handed back.

Cancelling `next` loses nothing: what has arrived stays here until somebody asks for it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import suppress
from functools import partial

import anyio
import anyio.lowlevel
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from services.runtime.bus.errors import BusClosedError
from services.runtime.bus.nats.client import OrderedClient

__all__ = ["ConsumerGoneError", "NoMessagesError", "Pull"]

#: A pull request lives this long on the server.
EXPIRES_S = 30.0
#: The server says this often that it is still there.
HEARTBEAT_S = 0.5
#: After this long without any word the request is taken for lost.
SILENCE_S = 1.25
#: A request brings no more than this, so that the server never has more waiting for this connection
#: than it allows (64 MiB by default), however large the messages are; above it, it cuts us off.
MAX_BYTES = 32 * 1024 * 1024
#: Pause after the server said that it cannot serve a request at the moment.
REFUSED_WAIT_S = 0.2
#: Pause between two looks whether the connection is there again.
RECONNECT_POLL_S = 0.1

HEARTBEAT = "100"
NO_RESPONDERS = "503"
NO_MESSAGES = "404"
CONFLICT = "409"
#: Descriptions of the conflicts that only say that a request with a byte limit is fulfilled.
FULFILLED = ("Batch Completed", "Message Size Exceeds MaxBytes")
NANOSECONDS = 1_000_000_000


class ConsumerGoneError(Exception):
    """The consumer does not exist (any more), or its stream is not up yet."""


class NoMessagesError(Exception):
    """The consumer has passed on everything that its stream holds."""


class Pull:
    """One reader's share of a pull consumer.

    With `no_wait`, the server answers that there is nothing instead of waiting for new messages,
    and `next` raises `NoMessagesError`.
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
    ) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._batch = batch
        self._max_bytes = max_bytes
        self._no_wait = no_wait
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._number = 0
        #: What the present request has not brought yet.
        self._wanted = 0
        #: The present request was taken for lost: its inbox has to go before the next one.
        self._lost = False
        #: Status and description of a refusal that `next` has not seen.
        self._refusal: tuple[str, str] | None = None
        #: The server answered that there is nothing left; only with `no_wait`.
        self._is_empty = False
        self._arrived: deque[Msg] = deque()
        self._word = anyio.Event()

    async def open(self) -> None:
        """Listen for what will be pulled, in place of what was listened to before."""
        old, self._inbox = self._subscription, self._client.new_inbox()
        with anyio.CancelScope(shield=True):  # two lines into the connection's buffer
            self._subscription = await self._client.subscribe_straight(
                f"{self._inbox}.*", partial(self._take, self._inbox)
            )
            if old is not None:
                await old.unsubscribe()

    async def next(self) -> Msg:
        """Wait for the next message.

        Raises
        ------
        ConsumerGoneError
            The consumer no longer exists; with `no_wait`, also if the answer to a request is lost.
        NoMessagesError
            With `no_wait`: nothing is left.
        BusClosedError
            The connection is closed for good.
        """
        await anyio.lowlevel.checkpoint()
        while not self._arrived:
            if self._client.is_closed:
                raise BusClosedError("the connection to NATS is closed")
            if self._refusal is not None:
                await self._yield_to_refusal(*self._refusal)
            elif self._is_empty:
                raise NoMessagesError
            elif self._wanted <= 0:
                await self._request()
            else:
                await self._listen()
        return self._arrived.popleft()

    def take_buffered(self) -> list[Msg]:
        """Take out what has arrived and nobody has asked for yet."""
        messages = list(self._arrived)
        self._arrived.clear()
        return messages

    async def close(self) -> None:
        """Stop listening."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not self._client.is_closed:
            await subscription.unsubscribe()

    async def _request(self) -> None:
        if not self._client.is_connected:
            await anyio.sleep(RECONNECT_POLL_S)
            return
        self._number += 1
        self._wanted = self._batch
        if self._lost:
            if self._no_wait:
                # What the request brought too late is gone: the next answer would be "no messages".
                raise ConsumerGoneError("the answer to a request is lost")
            self._lost = False
            await self.open()
        body: dict[str, int] = {"batch": self._batch, "max_bytes": self._max_bytes}
        if self._no_wait:
            body["no_wait"] = True
        else:
            body["expires"] = int(EXPIRES_S * NANOSECONDS)
            body["idle_heartbeat"] = int(HEARTBEAT_S * NANOSECONDS)
        await self._client.publish(
            self._subject, json.dumps(body).encode(), reply=f"{self._inbox}.{self._number}"
        )

    async def _listen(self) -> None:
        # A timer, not a cancel scope, which would cost more than the rest of the wait.
        word = self._word
        timer = asyncio.get_running_loop().call_later(SILENCE_S, self._miss, word)
        try:
            await word.wait()
        finally:
            timer.cancel()

    def _miss(self, word: anyio.Event) -> None:
        """Take the present request for lost, as there was no word for so long."""
        if not word.is_set():
            self._wanted = 0
            self._lost = True
            self._say()

    async def _yield_to_refusal(self, status: str, detail: str) -> None:
        self._refusal = None
        await anyio.sleep(REFUSED_WAIT_S)
        if status == NO_RESPONDERS or "Deleted" in detail:
            raise ConsumerGoneError(detail or "no such consumer")

    async def _take(self, inbox: str, msg: Msg) -> None:
        if inbox != self._inbox:
            if msg.reply:
                with suppress(nats.errors.Error):  # else it is handed out again after the deadline
                    await msg.nak()
            return
        if msg.reply:
            self._wanted -= 1
            self._arrived.append(msg)
        else:
            self._take_status(msg)
        self._say()

    def _say(self) -> None:
        """Wake whoever listens."""
        self._word.set()
        self._word = anyio.Event()

    def _take_status(self, msg: Msg) -> None:
        headers = msg.headers or {}
        status = headers.get("Status", HEARTBEAT)
        if status == HEARTBEAT or not msg.subject.endswith(f".{self._number}"):
            return
        self._wanted = 0
        detail = headers.get("Description", "")
        self._is_empty = self._no_wait and status == NO_MESSAGES
        if status in {NO_RESPONDERS, CONFLICT} and detail not in FULFILLED:
            self._refusal = (status, detail)
