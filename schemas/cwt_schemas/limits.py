"""Limits of messages and requests, with their reasons. All are checked before any work starts."""

from __future__ import annotations

#: `max_payload` of the server. The NATS documentation advises against more than 8 MB.
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024

#: `max_pending` of the server: bytes that it buffers for one connection before it closes it. With
#: the default of 64 MiB, eight of the largest requests at the same time disconnected a worker, and
#: all its requests were lost. This is twice what a worker accepts at a time
#: (`CWT_REQUESTS_MAX_BYTES`).
MAX_PENDING_BYTES = 512 * 1024 * 1024

#: Room for headers, which count towards the payload; the server disconnects a client above it.
HEADER_ROOM_BYTES = 4 * 1024

#: Largest body of one message.
MAX_MESSAGE_BYTES = MAX_PAYLOAD_BYTES - HEADER_ROOM_BYTES

#: Samples of one signal in a query: two float64 signals of this length fit one message.
MAX_QUERY_SAMPLES = 500_000

#: Scales times samples of one reply: 512 MiB of complex128, the memory of one query in a worker.
MAX_OUTPUT_CELLS = 32 * 1024 * 1024

#: Scales of one transform: over 300 octaves with 12 voices.
MAX_SCALES = 4096

#: Size of a reply in the object store, enough for `MAX_OUTPUT_CELLS`.
MAX_REPLY_BYTES = 512 * 1024 * 1024

#: Surrogate pairs of one significance threshold: beyond this its error is under 0.1 %.
MAX_MC_COUNT = 100_000

#: Time steps of one chunk. Longer chunks delay a live stream and occupy the log's memory.
MAX_CHUNK_SAMPLES = 1024 * 1024

#: Sampling rate of a stream: from one sample in thirty years to a thousand times the fastest
#: converters. Times and waits in samples stay within 63 bits.
MIN_FS_HZ = 1e-9
MAX_FS_HZ = 1e12

#: Channels of one stream: more than the largest electrode arrays that are read as one device.
MAX_CHANNELS = 1024

#: Analyses of one stream; each adds a tiling and a window per octave.
MAX_ANALYSES = 64

#: Channels or pairs of one analysis; each adds a result per octave and tile.
MAX_CHANNEL_SETS = 1024

#: Bands of one analysis of all pairs: about as many as octaves and parts of octaves have names.
MAX_BANDS = 64

#: Columns of which an analysis of all pairs publishes one.
MAX_DECIMATION = 4096

#: Size of the results of one window of all pairs: a worker computes several at a time, and encodes
#: each as it is stored.
MAX_PAIRS_BYTES = 64 * 1024 * 1024

#: Rows per octave; with fewer than this, neighbouring rows are already nearly identical.
MAX_VOICES_PER_OCTAVE = 96

#: Octaves that a position within 63 bits can have.
MAX_OCTAVE = 62

#: Backends of one benchmark; each repeats the computation several times.
MAX_BENCHMARK_BACKENDS = 8

#: Tasks of one job: the reply with its status is well below one message.
MAX_TASKS_PER_JOB = 1000

#: Size of all tasks of one job in the object store; workers that enqueue them hold them in memory.
MAX_JOB_BYTES = 256 * 1024 * 1024

#: Jobs in one listing, which is well below one message.
MAX_LISTED_JOBS = 1000

#: Estimated seconds of one core for one task of a job: about a day.
MAX_TASK_COST_S = 100_000.0

#: Tasks of one part of a simulation: an octave has no more in one round.
MAX_SHARE_TASKS = 32

#: Items of one msgpack list or map, so that a few bytes cannot allocate gigabytes.
MAX_PACKED_ITEMS = 1024 * 1024

#: Largest JSON body: `MAX_QUERY_SAMPLES` numbers of eight characters. Parsing a number takes ten
#: times its bytes in memory, so longer signals need msgpack.
MAX_JSON_BYTES = 4 * 1024 * 1024

#: Bodies smaller than this are not scanned: they cannot be expensive.
SCAN_FROM_BYTES = 4 * 1024

#: Lists in one body: a row of samples for each time step.
MAX_BODY_LISTS = 128 * 1024

#: Objects in one body: the channels of a stream, the tasks of a job.
MAX_BODY_MAPS = 32 * 1024

#: Keys and strings in one body: the names in `MAX_ANALYSES` analyses of `MAX_CHANNEL_SETS` pairs,
#: plus a quarter.
MAX_BODY_TEXTS = 160 * 1024

#: Elements of all lists and objects of one msgpack body: two signals of `MAX_QUERY_SAMPLES`, or a
#: chunk of `MAX_CHUNK_SAMPLES`, as lists.
MAX_BODY_ITEMS = MAX_PACKED_ITEMS + MAX_BODY_LISTS

#: Keys of one object: a checkpoint has one for each octave of `MAX_ANALYSES` analyses.
MAX_MAP_KEYS = 4096

#: Nesting levels of a body; no message has ten.
MAX_DEPTH = 32

#: Problems that one error lists; it must fit a terminal.
MAX_LISTED_PROBLEMS = 50

#: Largest position, time in nanoseconds, or sequence number: a signed 64-bit integer.
MAX_INT64 = 2**63 - 1

#: Index of the first sample of a chunk: 28 years at 10 MHz, and far from where int64 overflows.
MAX_FIRST_SAMPLE = 2**53

#: Time stamp of a chunk: the year 2116, far from where int64 overflows.
MAX_T0_NS = 2**62

#: Results per second of one stream: about as many messages as a few workers publish.
MAX_RESULTS_PER_S = 5000

#: Estimated seconds of one core for one query; longer work needs a job.
MAX_QUERY_COST_S = 30.0

#: Characters of a text for users.
MAX_TEXT = 4096

#: Characters of the name of a user of the bus, which may be a public key.
MAX_USER = 256

#: Characters of an id; `stream/epoch/analysis/channel:channel/octave/tile` of the longest names.
MAX_ID = 512

#: Seconds of samples that may wait for a missing chunk; with more, a result is no longer live.
MAX_REORDER_S = 60.0
