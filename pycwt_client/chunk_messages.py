"""Encode chunks as messages of the signal log.

The message id of a chunk is ``<stream>/<epoch>/<first_sample>+<samples>/<nonce>``. The server
discards a second message with a known id, whichever client published the first, so another client
could use up a predictable id. The nonce is therefore random, with 64 bits per chunk of a publisher.
Retrying a message has no effect if it is stored, and no other client sends one with its id. Samples
that another run sends again are stored again; ingest drops the ones it knows.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Literal

from cwt_schemas.chunk_codec import encode_raw_chunk
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import SignalChunk

__all__ = ["MAX_CHUNK_BYTES", "ChunkEncoding", "ChunkMessage", "message_id", "new_nonce"]

ChunkEncoding = Literal[ContentType.OCTETS, ContentType.MSGPACK]

#: Larger chunks are split: every process on the path holds a message in memory, and the server
#: handles small ones as fast. This is below the default limit of the server.
MAX_CHUNK_BYTES = 1000 * 1000


@dataclass(frozen=True)
class ChunkMessage:
    """An encoded chunk."""

    #: Position of the first sample, or of the end of its epoch.
    first_sample: int
    #: Identity of the chunk, and a nonce.
    name: str
    nonce: str
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
        return cls(first_sample, _name(stream, chunk), new_nonce(), headers, body)

    @property
    def id(self) -> str:
        """The message id of the chunk."""
        return f"{self.name}/{self.nonce}"

    def renamed(self) -> ChunkMessage:
        """Return the same chunk with a new nonce."""
        return replace(self, nonce=new_nonce())


def new_nonce() -> str:
    """Return 64 random bits as text."""
    return secrets.token_hex(8)


def message_id(stream: str, chunk: SignalChunk, nonce: str) -> str:
    """Return a message id that is the same for the same samples and the same `nonce`.

    A chunk without a position gets a new nonce each time.
    """
    return f"{_name(stream, chunk)}/{nonce if chunk.first_sample is not None else new_nonce()}"


def _name(stream: str, chunk: SignalChunk) -> str:
    first = "" if chunk.first_sample is None else chunk.first_sample
    return f"{stream}/{chunk.epoch}/{first}+{chunk.n_samples}"
