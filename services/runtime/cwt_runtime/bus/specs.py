"""What must exist on the server: streams, consumers and buckets, with their limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "ACK_WAIT_S",
    "DUPLICATE_WINDOW_S",
    "BucketSpec",
    "ConsumerSpec",
    "CopySpec",
    "ObjectsSpec",
    "StreamSpec",
    "Topology",
]


#: Longer than the client library retries one chunk, about 100 s with all time-outs. Ingest retries
#: without a limit, so after this time it may store a window twice; both results of that window have
#: the same id. Ingest recognises a duplicate chunk by its position.
DUPLICATE_WINDOW_S = 120.0
#: A worker that neither acknowledges nor reports progress for this long is considered dead.
ACK_WAIT_S = 10.0
#: Maximum number of windows delivered and not acknowledged, over all workers.
MAX_ACK_PENDING = 1024


@dataclass(frozen=True, kw_only=True)
class StreamSpec:
    """One JetStream stream."""

    name: str
    subjects: tuple[str, ...]
    retention: Literal["limits", "workqueue"]
    #: At the size limit, refuse new messages (the publisher gets an error) or drop the oldest.
    when_full: Literal["refuse_new", "drop_old"]
    max_bytes: int
    #: Seconds; 0 means no limit.
    max_age_s: float = 0.0
    duplicate_window_s: float = DUPLICATE_WINDOW_S
    #: Number of newest messages stored per subject; None means all.
    per_subject: int | None = None
    #: Replicas in a cluster, applied when the stream is created; its consumers have as many.
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class ConsumerSpec:
    """One durable pull consumer, shared by all workers of a kind."""

    stream: str
    name: str
    ack_wait_s: float = ACK_WAIT_S
    max_ack_pending: int = MAX_ACK_PENDING


@dataclass(frozen=True, kw_only=True)
class BucketSpec:
    """One key-value bucket."""

    name: str
    history: int = 1
    #: Seconds since a key was last set; 0 means no limit.
    max_age_s: float = 0.0
    #: Total size of all keys; None means no limit. A full bucket refuses new values.
    max_bytes: int | None = None
    #: As for a stream.
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class ObjectsSpec:
    """One bucket of the object store; the fields are those of a stream."""

    name: str
    when_full: Literal["refuse_new", "drop_old"]
    max_bytes: int
    max_age_s: float = 0.0
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class CopySpec:
    """A copy of a stream in another account, with the same retention."""

    stream: str
    max_bytes: int
    #: The domain under which this account reaches the JetStream of the copy.
    domain: str
    #: Prefix under which the account of the copy reaches the JetStream of this one.
    origin_api: str
    #: Prefix of the subjects on which the messages are transferred.
    delivery: str
    max_age_s: float = 0.0
    #: As for a stream.
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Everything that must exist on the server before a service can work."""

    streams: tuple[StreamSpec, ...]
    consumers: tuple[ConsumerSpec, ...]
    buckets: tuple[BucketSpec, ...]
    objects: tuple[ObjectsSpec, ...] = ()
    copies: tuple[CopySpec, ...] = ()
