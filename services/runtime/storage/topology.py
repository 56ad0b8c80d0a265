"""Every stream, work queue and bucket of the system, declared in this one place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from schemas import storage, subjects
from services.runtime.settings import StorageSettings

__all__ = [
    "BucketSpec",
    "ConsumerSpec",
    "ObjectsSpec",
    "StreamSpec",
    "Topology",
    "system_topology",
]

#: Longer than the client library tries to store one chunk, about 100 s with all time-outs. Ingest
#: tries for as long as it takes, so after this it may store a window twice; the window's result is
#: then stored under the id that it had, see below. A chunk stored twice is told by its position.
DUPLICATE_WINDOW_S = 120.0
#: A window can come back to a worker after several deadlines and delays; its result must not.
RESULT_DUPLICATE_WINDOW_S = 600.0
#: A worker that has not acknowledged, nor said that it is still at it, is taken for dead.
ACK_WAIT_S = 10.0
#: Windows handed out and not acknowledged, over all workers.
MAX_ACK_PENDING = 1024
#: Levels of a hundred scales are 2 kB: room for a hundred thousand simulations, for a month each.
SIGNIFICANCE_MAX_BYTES = 256 * 1024 * 1024
SIGNIFICANCE_MAX_AGE_S = 30 * 86_400.0
#: Dead letters wait for an operator; results and signals have limits set by settings.
DEAD_MAX_BYTES = 256 * 1024 * 1024
#: Some hundred thousand jobs.
JOBS_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class StreamSpec:
    """One JetStream stream."""

    name: str
    subjects: tuple[str, ...]
    retention: Literal["limits", "workqueue"]
    #: At the size limit, refuse the new message (the publisher sees an error) or drop the oldest.
    when_full: Literal["refuse_new", "drop_old"]
    max_bytes: int
    #: Seconds; 0 means for ever.
    max_age_s: float = 0.0
    duplicate_window_s: float = DUPLICATE_WINDOW_S
    #: Messages kept of each subject, the newest; None means all.
    per_subject: int | None = None
    #: On so many servers of a cluster, when it is made; its consumers have as many.
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
    #: Seconds since a key was last set; 0 means for ever.
    max_age_s: float = 0.0
    #: Of all keys together; None means no limit. A bucket that is full refuses the new.
    max_bytes: int | None = None
    #: As of a stream.
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
class Topology:
    """All that has to exist on the server before a service can work."""

    streams: tuple[StreamSpec, ...]
    consumers: tuple[ConsumerSpec, ...]
    buckets: tuple[BucketSpec, ...]
    objects: tuple[ObjectsSpec, ...] = ()


def system_topology(limits: StorageSettings) -> Topology:
    """Return the streams, consumers and buckets of the system under the given limits."""
    replicas = limits.replicas
    return Topology(
        streams=(
            StreamSpec(
                name=storage.SIGNALS,
                subjects=(subjects.SIGNALS,),
                retention="limits",
                when_full="refuse_new",
                max_bytes=limits.signals_max_bytes,
                max_age_s=limits.signals_max_age_s,
                replicas=replicas,
            ),
            StreamSpec(
                name=storage.WINDOWS,
                subjects=(subjects.WINDOWS,),
                retention="workqueue",
                when_full="refuse_new",
                max_bytes=limits.windows_max_bytes,
                replicas=replicas,
            ),
            StreamSpec(
                name=storage.RESULTS,
                subjects=(subjects.RESULTS, subjects.EVENTS),
                retention="limits",
                when_full="drop_old",
                max_bytes=limits.results_max_bytes,
                duplicate_window_s=RESULT_DUPLICATE_WINDOW_S,
                max_age_s=limits.results_max_age_s,
                replicas=replicas,
            ),
            StreamSpec(
                name=storage.TASKS,
                subjects=(subjects.TASKS,),
                retention="workqueue",
                when_full="refuse_new",
                max_bytes=limits.tasks_max_bytes,
                replicas=replicas,
            ),
            StreamSpec(
                name=storage.JOB_RESULTS,
                subjects=(subjects.JOB_RESULTS,),
                retention="limits",
                # A job waits for room rather than lose what it has computed.
                when_full="refuse_new",
                max_bytes=limits.job_results_max_bytes,
                max_age_s=limits.jobs_max_age_s,
                # The server wants ids forgotten before messages are.
                duplicate_window_s=min(DUPLICATE_WINDOW_S, limits.jobs_max_age_s or math.inf),
                # Each task has one outcome: that of a retry replaces the failure before it.
                per_subject=1,
                replicas=replicas,
            ),
            StreamSpec(
                name=storage.DEAD,
                subjects=(subjects.DEAD,),
                retention="limits",
                when_full="drop_old",
                max_bytes=DEAD_MAX_BYTES,
                replicas=replicas,
            ),
        ),
        consumers=(
            ConsumerSpec(stream=storage.WINDOWS, name=storage.COMPUTE_WINDOWS),
            ConsumerSpec(stream=storage.TASKS, name=storage.COMPUTE_TASKS),
        ),
        buckets=(
            BucketSpec(name=storage.KV_STREAMS, history=8, replicas=replicas),
            BucketSpec(name=storage.KV_CHECKPOINTS, replicas=replicas),
            BucketSpec(
                name=storage.KV_JOBS,
                max_age_s=limits.jobs_max_age_s,
                max_bytes=JOBS_MAX_BYTES,
                replicas=replicas,
            ),
            BucketSpec(
                name=storage.KV_SIGNIFICANCE,
                max_age_s=SIGNIFICANCE_MAX_AGE_S,
                max_bytes=SIGNIFICANCE_MAX_BYTES,
                replicas=replicas,
            ),
        ),
        objects=(
            ObjectsSpec(
                name=storage.OBJECTS,
                when_full="refuse_new",
                max_bytes=limits.objects_max_bytes,
                max_age_s=limits.objects_max_age_s,
                replicas=replicas,
            ),
            # The oldest reply was fetched long ago, or never will be.
            ObjectsSpec(
                name=storage.REPLIES,
                when_full="drop_old",
                max_bytes=limits.replies_max_bytes,
                max_age_s=limits.replies_max_age_s,
                replicas=replicas,
            ),
            # What goes is computed again.
            ObjectsSpec(
                name=storage.ANSWERS,
                when_full="drop_old",
                max_bytes=limits.answers_max_bytes,
                max_age_s=limits.answers_max_age_s,
                replicas=replicas,
            ),
        ),
    )
