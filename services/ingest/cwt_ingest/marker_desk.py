"""Store markers for devices, which may not publish in the log of results.

The server discards a message whose id it knows, and a client chooses the ids of its messages: a
device with access to the log could have results of other streams discarded. Here the id follows
from the content of the marker, whatever id the request has. The subject names the stream, because
the server checks it against the permissions of the sender.
"""

from __future__ import annotations

from typing import Final

import anyio

from cwt_runtime.bus import Bucket, DurableLog
from cwt_runtime.bus.errors import BusError
from cwt_runtime.rpc.context import request_context
from cwt_runtime.token_bucket import TokenBucket
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import NotFound, Overloaded, Unavailable, Unprocessable
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.marker import Marker, MarkerStored

__all__ = ["MARKERS_PER_MINUTE", "MarkerDesk"]

#: Of each stream and ingest. Three times as many as heartbeats, and with the longest texts 60 kB a
#: second, which takes most of a day to fill the log of results.
MARKERS_PER_MINUTE: Final = 600
#: Streams whose rates are kept.
MAX_ALLOWANCES: Final = 10_000
ENCODING: Final = ContentType.MSGPACK


class MarkerDesk:
    """Check and store the markers of requests.

    Parameters
    ----------
    bus_log
        The log that has the results.
    definitions
        The bucket of stream definitions.
    """

    def __init__(self, bus_log: DurableLog, definitions: Bucket) -> None:
        self._bus_log = bus_log
        self._definitions = definitions
        #: By stream, the oldest first; only streams that were defined have one.
        self._allowances: dict[str, TokenBucket] = {}

    async def store(self, marker: Marker) -> MarkerStored:
        """Store a marker of the stream that the subject of the request names.

        Raises
        ------
        Unprocessable
            The marker names another stream than the subject.
        NotFound
            The stream is not defined.
        Overloaded
            The stream has too many markers; the detail has the time to wait.
        Unavailable
            The server cannot store it now.
        """
        stream = subjects.stream_of_mark(request_context().subject)
        if marker.stream != stream:
            raise Unprocessable.of({"stream": f"must be {stream}, as in the subject"})
        try:
            if await self._definitions.get(stream) is None:
                raise NotFound(f"stream {stream} is not defined")
            self._take(stream)
            ack = await self._bus_log.store(
                subjects.marker(stream),
                encode(marker, ENCODING),
                msg_id=marker.id,
                headers={CONTENT_TYPE: ENCODING.value},
            )
        except BusError as error:
            raise Unavailable(f"cannot store the marker: {error}; retry later") from error
        return MarkerStored(stream=ack.stream, seq=ack.seq, duplicate=ack.duplicate)

    def _take(self, stream: str) -> None:
        now_s = anyio.current_time()
        allowance = self._allowances.get(stream)
        if allowance is None:
            allowance = self._allowances[stream] = TokenBucket(MARKERS_PER_MINUTE, now_s)
            if len(self._allowances) > MAX_ALLOWANCES:
                del self._allowances[next(iter(self._allowances))]
        wait_s = allowance.wait_s(1, now_s)
        if wait_s > 0:
            raise Overloaded(
                f"{MARKERS_PER_MINUTE} markers a minute are possible for {stream}: retry in "
                f"{wait_s:.1f} s",
                {"retry_after_s": wait_s},
            )
        allowance.take(1, now_s)
