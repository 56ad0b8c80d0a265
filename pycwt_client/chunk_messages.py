"""Chunks as the messages that the signal log stores.

A chunk's message id is ``<stream>/<epoch>/<first_sample>+<samples>``: sending it again changes
nothing, and a chunk that begins at the same sample and has more is another one. So samples that are
sent again in chunks cut otherwise are all kept; ingest drops those that it knows.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal

from cwt_schemas.codec import ContentType, encode, encode_raw_chunk
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import SignalChunk

__all__ = ["MAX_CHUNK_BYTES", "ChunkEncoding", "ChunkMessage", "message_id"]

ChunkEncoding = Literal[ContentType.OCTETS, ContentType.MSGPACK]

#: Larger chunks are cut: a message takes memory at every station, and the server handles small
#: ones as fast. Below what any server takes by default.
MAX_CHUNK_BYTES = 1000 * 1000


@dataclass(frozen=True)
class ChunkMessage:
    """An encoded chunk."""

    #: Position of the first sample, or of the end of its epoch.
    first_sample: int
    id: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(
        cls, stream: str, chunk: SignalChunk, first_sample: int, encoding: ChunkEncoding
    ) -> ChunkMessage:
        """Encode a chunk of `stream`."""
        if encoding is ContentType.OCTETS:
            headers, body = encode_raw_chunk(chunk)
        else:
            headers, body = {CONTENT_TYPE: encoding.value}, encode(chunk, encoding)
        return cls(first_sample, message_id(stream, chunk), headers, body)


def message_id(stream: str, chunk: SignalChunk) -> str:
    """Return the message id of a chunk; of one without a position, a new one each time."""
    if chunk.first_sample is None:
        return f"{stream}/{chunk.epoch}/{secrets.token_hex(8)}"
    return f"{stream}/{chunk.epoch}/{chunk.first_sample}+{chunk.n_samples}"
