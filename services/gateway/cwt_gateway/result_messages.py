"""Messages of the result log about a stream, as messages of a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any, Final, NamedTuple

from cwt_gateway.sharing import Sharing
from cwt_runtime.bus import Message as BusMessage
from cwt_runtime.bus import StoredMessage
from cwt_schemas import http, subjects
from cwt_schemas.codec import ContentType, content_type_of, decode_tree, encode_tree
from cwt_schemas.errors import ContractError
from cwt_schemas.pair_result import is_of_pairs
from pycwt_client.markers import read_marker
from pycwt_client.repeats import SeenIds, SeenResults

__all__ = ["ResultMessages"]

#: Size of the tree, encoded in msgpack.
NIL: Final = b"\xc0"


class LogMessage(NamedTuple):
    """A message of the result log as sent to a client."""

    #: The message in the encoding of the connection.
    body: bytes
    #: Number of tiles whose result is in the message, or that the message reports as dropped.
    settled_tiles: int


class ResultMessages:
    """Convert the results, events and markers of a stream to WebSocket messages, each once."""

    def __init__(self, name: str, encoding: ContentType, sharing: Sharing) -> None:
        self._kinds = {subjects.event(name): "event", subjects.marker(name): "marker"}
        self._encoding = encoding
        self._sharing = sharing
        self._results, self._events, self._markers = SeenResults(), SeenIds(), SeenIds()

    async def of(self, stored: StoredMessage) -> LogMessage | None:
        """Return the message; None if it was sent before, or cannot be decoded."""
        message = stored.message
        kind = self._kinds.get(message.subject, "result")
        try:
            encoding = content_type_of(message.headers)
            tree = decode_tree(message.data, encoding)
            is_new = self._is_new(kind, message, tree)
            settled_tiles = _settled_tiles(kind, tree)
            if kind == "result" and is_of_pairs(tree["schema"]):
                kind = "pairs"
        except (ContractError, KeyError, TypeError):
            return None
        if not is_new:
            return None
        head = {"type": kind, "seq": stored.seq, kind: None}
        if self._encoding is ContentType.JSON:
            body = await self._sharing.json(stored, tree)
            return LogMessage(http.to_json(head)[: -len("null}")] + body + b"}", settled_tiles)
        body = message.data if encoding is ContentType.MSGPACK else encode_tree(tree)
        return LogMessage(encode_tree(head)[: -len(NIL)] + body, settled_tiles)

    def _is_new(self, kind: str, message: BusMessage, tree: Mapping[str, Any]) -> bool:
        if kind == "marker":
            return self._markers.is_new(read_marker(message))
        if kind == "event":
            return self._events.is_new_id(tree["id"])
        own = tree["stream"], tree["epoch"], tree["analysis"], tree["spec_hash"], tree["octave"]
        t = tree["t"]
        start = t["first_sample"]
        return self._results.is_new_block(own, start, start + t["step"] * t["n"])


def _settled_tiles(kind: str, tree: Mapping[str, Any]) -> int:
    """Return the number of tiles whose result is in a message, or that it reports as dropped."""
    if kind == "result":
        return 1
    return index(tree.get("count", 1)) if tree.get("kind") == "dropped" else 0
