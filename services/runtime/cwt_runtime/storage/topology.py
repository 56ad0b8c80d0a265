"""Declaration of all streams, work queues and buckets of the system."""

from __future__ import annotations

import math

from cwt_runtime.accounts.copies import COPIED, COPIES_DOMAIN, COPY_DELIVERY, ORIGIN_API
from cwt_runtime.bus import (
    ACK_WAIT_S,
    DUPLICATE_WINDOW_S,
    BucketSpec,
    ConsumerSpec,
    CopySpec,
    ObjectsSpec,
    StreamSpec,
    Topology,
)
from cwt_runtime.settings import StorageSettings
from cwt_schemas import storage, subjects

__all__ = ["copies_of", "system_topology"]

#: A window may be redelivered after several deadlines and delays; its result must not be stored
#: twice.
RESULT_DUPLICATE_WINDOW_S = 600.0
#: Room for 100,000 simulations, at 2 kB for the thresholds of 100 scales; they expire in a month.
SIGNIFICANCE_MAX_BYTES = 256 * 1024 * 1024
SIGNIFICANCE_MAX_AGE_S = 30 * 86_400.0
#: Dead letters wait for an operator. Their limit is fixed; the limits of signals and results are
#: settings.
DEAD_MAX_BYTES = 256 * 1024 * 1024
#: Room for about 100,000 changes.
AUDIT_MAX_BYTES = 64 * 1024 * 1024
#: Room for several hundred thousand jobs.
JOBS_MAX_BYTES = 64 * 1024 * 1024
#: Room for more than 10,000 keys.
KEYS_MAX_BYTES = 8 * 1024 * 1024


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
                subjects=(subjects.RESULTS, subjects.EVENTS, subjects.MARKERS),
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
                # When the stream is full, jobs wait, so that no computed result is lost.
                when_full="refuse_new",
                max_bytes=limits.job_results_max_bytes,
                max_age_s=limits.jobs_max_age_s,
                # The server requires that message ids expire no later than messages.
                duplicate_window_s=min(DUPLICATE_WINDOW_S, limits.jobs_max_age_s or math.inf),
                # Each task has one outcome: that of a retry replaces an earlier failure.
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
            StreamSpec(
                name=storage.AUDIT,
                subjects=(subjects.AUDIT,),
                retention="limits",
                when_full="drop_old",
                max_bytes=AUDIT_MAX_BYTES,
                replicas=replicas,
            ),
        ),
        consumers=(
            ConsumerSpec(
                stream=storage.WINDOWS, name=storage.COMPUTE_WINDOWS, ack_wait_s=ACK_WAIT_S
            ),
            ConsumerSpec(stream=storage.TASKS, name=storage.COMPUTE_TASKS, ack_wait_s=ACK_WAIT_S),
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
            BucketSpec(name=storage.KV_KEYS, max_bytes=KEYS_MAX_BYTES, replicas=replicas),
        ),
        objects=(
            ObjectsSpec(
                name=storage.OBJECTS,
                when_full="refuse_new",
                max_bytes=limits.objects_max_bytes,
                max_age_s=limits.objects_max_age_s,
                replicas=replicas,
            ),
            # The oldest reply was read long ago, or will never be read.
            ObjectsSpec(
                name=storage.REPLIES,
                when_full="drop_old",
                max_bytes=limits.replies_max_bytes,
                max_age_s=limits.replies_max_age_s,
                replicas=replicas,
            ),
            # A reply that is dropped is computed again.
            ObjectsSpec(
                name=storage.ANSWERS,
                when_full="drop_old",
                max_bytes=limits.answers_max_bytes,
                max_age_s=limits.answers_max_age_s,
                replicas=replicas,
            ),
        ),
    )


def copies_of(topology: Topology) -> tuple[CopySpec, ...]:
    """Return the copies for readers and analysts, each with the limits of its stream."""
    originals: dict[str, StreamSpec | ObjectsSpec] = {each.name: each for each in topology.streams}
    originals |= {f"OBJ_{each.name}": each for each in topology.objects}
    return tuple(
        CopySpec(
            stream=name,
            max_bytes=originals[name].max_bytes,
            max_age_s=originals[name].max_age_s,
            replicas=originals[name].replicas,
            domain=COPIES_DOMAIN,
            origin_api=ORIGIN_API,
            delivery=COPY_DELIVERY,
        )
        for name in COPIED
    )
