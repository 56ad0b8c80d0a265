"""Names of what JetStream keeps: streams, key-value buckets, the object store, durable readers.

How each one is configured is the business of whoever creates it.
"""

from __future__ import annotations

from typing import Final

#: The log of everything that devices sent; replayed after a restart.
SIGNALS: Final = "CWT_SIGNALS"
#: Windows that wait for a worker.
WINDOWS: Final = "CWT_WINDOWS"
#: Results, events and markers, for anyone to read.
RESULTS: Final = "CWT_RESULTS"
#: Tasks that wait for a worker.
TASKS: Final = "CWT_TASKS"
#: Results of jobs, for whoever submitted them.
JOB_RESULTS: Final = "CWT_JOB_RESULTS"
#: What was given up on, for the operator.
DEAD: Final = "CWT_DEAD"

#: Stream definitions, by name.
KV_STREAMS: Final = "cwt_streams"
#: The state of each job, by id.
KV_JOBS: Final = "cwt_jobs"
#: Where ingest resumes, by stream.
KV_CHECKPOINTS: Final = "cwt_checkpoints"
#: Significance levels already computed, by the hash of what they depend on.
KV_SIGNIFICANCE: Final = "cwt_significance"

#: The tasks of jobs, and results of theirs that are too large for a message.
OBJECTS: Final = "cwt_objects"
#: Replies that are too large for a message; whoever asked fetches them within minutes.
REPLIES: Final = "cwt_replies"
#: Answers to queries that were dear, for whoever asks the same again.
ANSWERS: Final = "cwt_answers"

#: All of them, as JetStream names the streams behind them.
JETSTREAM: Final = (
    SIGNALS,
    WINDOWS,
    RESULTS,
    TASKS,
    JOB_RESULTS,
    DEAD,
    *(f"KV_{name}" for name in (KV_STREAMS, KV_CHECKPOINTS, KV_JOBS, KV_SIGNIFICANCE)),
    *(f"OBJ_{name}" for name in (OBJECTS, REPLIES, ANSWERS)),
)

#: The reader of the window queue that all workers share.
COMPUTE_WINDOWS: Final = "compute-windows"
#: The reader of the task queue that all workers share.
COMPUTE_TASKS: Final = "compute-tasks"
