"""NATS services (ADR-32) over any `Bus`: discovery, statistics, bounded concurrency, clean stop.

Theory of operation. One task per endpoint reads its queue-group subscription and starts a task
per request, so a slow request never delays a fast one. A request waits until a slot is free; when
too many requests wait, or their bodies fill the service's budget, the next one is refused
immediately with `overloaded`. On stop, the subscriptions are drained (the server sends further
requests to other instances), the requests that had arrived are answered, and then the discovery
subscriptions are closed.

A service may publish where its clients may not, and a client chooses the reply subject. Replies are
therefore sent to inboxes only; a request with any other reply subject is ignored and counted.

`docs/decisions/0003-own-service-layer.md` explains why `nats.micro` of nats-py is not used.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import anyio
import orjson
from anyio.abc import TaskGroup

from cwt_runtime.bus import Bus, Message, Subscription
from cwt_runtime.bus.errors import BusError
from cwt_runtime.rpc.admission import RETRY_S, Admission
from cwt_runtime.rpc.endpoint import Endpoint, Reply, answer, error_reply
from cwt_runtime.settings import REPLY_PREFIXES, subject_prefixes
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import subjects
from cwt_schemas.codec import reply_type
from cwt_schemas.errors import Overloaded
from cwt_schemas.headers import CONTENT_TYPE

__all__ = ["Identity", "ping_subject", "serve_endpoints"]

#: ADR-32: the prefix of the control subjects, and the types of the three documents.
CONTROL_PREFIX = "$SRV"
PING_TYPE = "io.nats.micro.v1.ping_response"
INFO_TYPE = "io.nats.micro.v1.info_response"
STATS_TYPE = "io.nats.micro.v1.stats_response"
#: All instances of a service share the work in this queue group.
QUEUE_GROUP = "q"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Identity of a service instance: instances share the `name`; the `id` is unique."""

    name: str
    id: str
    version: str
    description: str


@dataclass
class _Tally:
    """Statistics and waiting requests of one endpoint."""

    endpoint: Endpoint
    requests: int = 0
    errors: int = 0
    busy_ns: int = 0
    last_error: str = ""
    waiting: int = 0
    slots: anyio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.slots = anyio.Semaphore(self.endpoint.concurrency)

    def check_waiting(self) -> None:
        """Raise `Overloaded` if the maximum number of requests is waiting."""
        if self.waiting >= self.endpoint.waiting:
            raise Overloaded(
                f"{self.waiting} requests are already waiting: retry in {RETRY_S:g} s, "
                "or start more workers",
                {"retry_after_s": RETRY_S},
            )

    def count_error(self, reply: Reply) -> None:
        """Count a reply if it is an error."""
        if reply.error is not None:
            self.errors += 1
            self.last_error = reply.error


@asynccontextmanager
async def serve_endpoints(
    bus: Bus,
    identity: Identity,
    endpoints: Sequence[Endpoint],
    log: Log,
    admission: Admission | None = None,
    *,
    reply_prefixes: str = REPLY_PREFIXES,
) -> AsyncIterator[None]:
    """Serve `endpoints` while the context is open; leaving it drains them.

    Parameters
    ----------
    admission
        Limits shared by all endpoints; by default those of `Admission`.
    reply_prefixes
        Allowed prefixes of reply subjects, separated by commas; see `ServiceSettings`.
    """
    prefixes = subject_prefixes(reply_prefixes)
    service = _Service(bus, identity, endpoints, log, admission or Admission(), prefixes)
    async with AsyncExitStack() as stack:
        controls = [
            await stack.enter_async_context(bus.subscribe(subject))
            for subject in _control_subjects(identity)
        ]
        served = [
            await stack.enter_async_context(bus.subscribe(each.contract.subject, QUEUE_GROUP))
            for each in endpoints
        ]
        async with anyio.create_task_group() as control:
            for subscription in controls:
                control.start_soon(service.serve_control, subscription)
            async with anyio.create_task_group() as work:
                for tally, subscription in zip(service.tallies, served, strict=True):
                    work.start_soon(service.serve_endpoint, tally, subscription, work)
                yield
                for subscription in served:
                    await subscription.drain()
            for subscription in controls:
                await subscription.drain()


class _Service:
    """State shared by the tasks of one service."""

    def __init__(
        self,
        bus: Bus,
        identity: Identity,
        endpoints: Sequence[Endpoint],
        log: Log,
        admission: Admission,
        reply_prefixes: tuple[str, ...],
    ) -> None:
        self._bus = bus
        self._identity = identity
        self._log = log
        self._admission = admission
        self._reply_prefixes = reply_prefixes
        self._started = datetime.now(UTC)
        self.tallies = [_Tally(endpoint) for endpoint in endpoints]

    async def serve_endpoint(
        self, tally: _Tally, subscription: Subscription, work: TaskGroup
    ) -> None:
        """Start a task in `work` for each request, or refuse the request."""
        async for message in subscription:
            if not self._is_request(message):
                continue
            tally.requests += 1
            try:
                tally.check_waiting()
                self._admission.reserve(len(message.data))
            except Overloaded as error:
                name, code = tally.endpoint.name, error.code.value
                self._log.debug(Action.REQUEST_REFUSED, endpoint=name, code=code)
                reply = error_reply(error, reply_type(message.headers))
                tally.count_error(reply)
                await self._send(message, reply)
                continue
            tally.waiting += 1
            work.start_soon(self._serve_request, tally, message)

    async def _serve_request(self, tally: _Tally, message: Message) -> None:
        try:
            async with tally.slots:
                tally.waiting -= 1
                before = time.perf_counter_ns()
                reply = await answer(tally.endpoint, message, self._log, self._bus, self._admission)
                tally.busy_ns += time.perf_counter_ns() - before
            tally.count_error(reply)
            await self._send(message, reply)
        finally:
            self._admission.release(len(message.data))

    async def serve_control(self, subscription: Subscription) -> None:
        """Answer the discovery requests of one control subject."""
        async for message in subscription:
            if not self._is_request(message):
                continue
            document = self._document(message.subject.split(".")[1])
            reply = Reply(data=orjson.dumps(document), headers={CONTENT_TYPE: "application/json"})
            await self._send(message, reply)

    def _is_request(self, message: Message) -> bool:
        """Return whether the reply subject of a message is an inbox or absent."""
        if message.reply is None or message.reply.startswith(self._reply_prefixes):
            return True
        metrics.BUS_IGNORED.inc()
        return False

    async def _send(self, message: Message, reply: Reply) -> None:
        if message.reply is None:
            return  # published without a reply subject
        try:
            await self._bus.publish(message.reply, reply.data, reply.headers)
        except BusError as error:
            # The client has its own deadline and times out; the service has not failed.
            self._log.warning(Action.BUS_ERROR, detail=str(error), subject=message.subject)

    def _document(self, verb: str) -> dict[str, object]:
        head: dict[str, object] = {
            "name": self._identity.name,
            "id": self._identity.id,
            "version": self._identity.version,
            "metadata": {},
        }
        if verb == "PING":
            return {"type": PING_TYPE, **head}
        if verb == "INFO":
            return {
                "type": INFO_TYPE,
                **head,
                "description": self._identity.description,
                "endpoints": [_endpoint_info(tally.endpoint) for tally in self.tallies],
            }
        return {
            "type": STATS_TYPE,
            **head,
            "started": self._started.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "endpoints": [_endpoint_stats(tally) for tally in self.tallies],
        }


def ping_subject(*address: str) -> str:
    """Return the ping subject of all services, of one service name, or of one instance."""
    return ".".join((CONTROL_PREFIX, "PING", *address))


def _control_subjects(identity: Identity) -> list[str]:
    return [
        ".".join((CONTROL_PREFIX, verb, *address))
        for verb in ("PING", "INFO", "STATS")
        for address in ((), (identity.name,), (identity.name, identity.id))
    ]


def _endpoint_info(endpoint: Endpoint) -> dict[str, object]:
    schema_id = endpoint.contract.schema_id
    return {
        "name": endpoint.name,
        "subject": endpoint.contract.subject,
        "queue_group": QUEUE_GROUP,
        "metadata": {
            "schema": schema_id,
            "request": endpoint.contract.request.__name__,
            "reply": endpoint.contract.reply.__name__,
            "json_schema": f"request {subjects.query('schema')} with name {schema_id}",
        },
    }


def _endpoint_stats(tally: _Tally) -> dict[str, object]:
    return {
        "name": tally.endpoint.name,
        "subject": tally.endpoint.contract.subject,
        "queue_group": QUEUE_GROUP,
        "num_requests": tally.requests,
        "num_errors": tally.errors,
        "last_error": tally.last_error,
        "processing_time": tally.busy_ns,
        "average_processing_time": tally.busy_ns // max(tally.requests, 1),
    }
