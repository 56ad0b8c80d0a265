"""Names in JetStream: streams, key-value buckets, object stores and durable consumers.

`cwt_runtime.storage` configures them.
"""

from __future__ import annotations

from typing import Final

#: The signal log: all chunks from devices; replayed after a restart.
SIGNALS: Final = "CWT_SIGNALS"
#: Windows that are waiting for a worker.
WINDOWS: Final = "CWT_WINDOWS"
#: Results, events and markers.
RESULTS: Final = "CWT_RESULTS"
#: Tasks that are waiting for a worker.
TASKS: Final = "CWT_TASKS"
#: Outcomes of tasks.
JOB_RESULTS: Final = "CWT_JOB_RESULTS"
#: Dead letters, for the operator.
DEAD: Final = "CWT_DEAD"
#: Which user changed what.
AUDIT: Final = "CWT_AUDIT"

#: Stream definitions, by name.
KV_STREAMS: Final = "cwt_streams"
#: The state of each job, by id.
KV_JOBS: Final = "cwt_jobs"
#: Checkpoints from which ingest resumes, by stream.
KV_CHECKPOINTS: Final = "cwt_checkpoints"
#: Simulated significance thresholds, by the hash of their parameters.
KV_SIGNIFICANCE: Final = "cwt_significance"
#: Hashes of the keys of HTTP clients, by name.
KV_KEYS: Final = "cwt_keys"

#: The tasks of jobs, and outcomes that are too large for a message.
OBJECTS: Final = "cwt_objects"
#: Replies that are too large for a message; the client fetches them within minutes.
REPLIES: Final = "cwt_replies"
#: Cache of replies that were expensive to compute.
ANSWERS: Final = "cwt_answers"

#: The JetStream streams behind all of these.
JETSTREAM: Final = (
    SIGNALS,
    WINDOWS,
    RESULTS,
    TASKS,
    JOB_RESULTS,
    DEAD,
    AUDIT,
    *(f"KV_{name}" for name in (KV_STREAMS, KV_CHECKPOINTS, KV_JOBS, KV_SIGNIFICANCE, KV_KEYS)),
    *(f"OBJ_{name}" for name in (OBJECTS, REPLIES, ANSWERS)),
)

#: Durable consumer of the window queue, shared by all workers.
COMPUTE_WINDOWS: Final = "compute-windows"
#: Durable consumer of the task queue, shared by all workers.
COMPUTE_TASKS: Final = "compute-tasks"
