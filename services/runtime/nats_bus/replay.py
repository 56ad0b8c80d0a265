"""Reading a stream in order, without a hole, through restarts of the server.

An ephemeral consumer without acknowledgements delivers in order, but what was on the wire when a
connection broke is lost. The consumer's own sequence shows it: a jump means a hole, and a new
consumer starts right after the last message that was passed on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress

import anyio
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from services.runtime.bus import StoredMessage
from services.runtime.errors import BusError
from services.runtime.nats_bus.message import AckSubject, stored_message_of
from services.runtime.nats_bus.pull import ConsumerGoneError, Pull
from services.runtime.nats_bus.translate import driver_errors

__all__ = ["replay_in_order"]

#: Messages asked for at once: few enough that 8 MiB messages stay below the server's per-client
#: limit.
BATCH = 64
#: The server forgets a reader that has not pulled for so long.
INACTIVE_S = 60.0
#: Pause before trying again to make a consumer on a server that is coming up.
RETRY_S = 0.25


async def replay_in_order(
    client: Client, js: JetStreamContext, stream: str, subjects: tuple[str, ...], start_seq: int
) -> AsyncGenerator[StoredMessage, None]:
    """Yield every message on `subjects` from `start_seq` on, each once, in stream order."""
    next_seq = max(start_seq, 1)
    while True:
        pull = await _open(client, js, stream, subjects, next_seq)
        expected = 1
        try:
            while True:
                with driver_errors():
                    msg = await pull.next()
                if AckSubject.parse(msg.reply).consumer_seq != expected:
                    break
                expected += 1
                stored = stored_message_of(msg)
                next_seq = stored.seq + 1
                yield stored
        except ConsumerGoneError:
            continue
        finally:
            with suppress(nats.errors.Error):  # gone with the connection
                await pull.close()


async def _open(
    client: Client, js: JetStreamContext, stream: str, subjects: tuple[str, ...], start_seq: int
) -> Pull:
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=start_seq,
        ack_policy=AckPolicy.NONE,
        filter_subjects=list(subjects),
        inactive_threshold=INACTIVE_S,
        mem_storage=True,
        num_replicas=1,
    )
    while True:
        try:
            with driver_errors():
                info = await js.add_consumer(stream, config)
                pull = Pull(client, stream, info.name, batch=BATCH)
                await pull.open()
                return pull
        except BusError as error:
            if not error.transient:
                raise
            await anyio.sleep(RETRY_S)
