"""How large anything on the bus may be, and why. All are checked before any work is done."""

from __future__ import annotations

#: What the server is told to accept. The makers of NATS advise against more than 8 MB.
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024

#: What the server is told to hold for one connection before it cuts it off: of 64 MiB, which it has
#: by default, eight of the largest requests at once were enough for a worker to be cut off with all
#: that it had been asked. It is twice what a worker takes at a time (`CWT_REQUESTS_MAX_BYTES`).
MAX_PENDING_BYTES = 512 * 1024 * 1024

#: Headers count towards the payload, and a client that exceeds it is cut off for good.
HEADER_ROOM_BYTES = 4 * 1024

#: The largest body that any sender here puts into one message.
MAX_MESSAGE_BYTES = MAX_PAYLOAD_BYTES - HEADER_ROOM_BYTES

#: Samples of one signal in a query: two float64 signals of this length still fit one message.
MAX_QUERY_SAMPLES = 500_000

#: Scales times samples of one answer: 512 MiB of complex128 is what one query may take of a worker.
MAX_OUTPUT_CELLS = 32 * 1024 * 1024

#: Scales of one transform: over 300 octaves at the usual 12 voices.
MAX_SCALES = 4096

#: A reply that is kept in the object store: as much as the numbers of one answer may take.
MAX_REPLY_BYTES = 512 * 1024 * 1024

#: Surrogate pairs of one significance estimate: beyond this the level's error is under 0.1 %.
MAX_MC_COUNT = 100_000

#: Time steps of one chunk. Longer ones make a live stream late and hold the log's memory.
MAX_CHUNK_SAMPLES = 1024 * 1024

#: Samples per second of a stream, from one in thirty years to a thousand times the fastest
#: converters: times and waits counted in samples stay within 63 bits.
MIN_FS_HZ = 1e-9
MAX_FS_HZ = 1e12

#: Channels of one stream: above the largest electrode arrays that are read out as one device.
MAX_CHANNELS = 1024

#: Analyses of one stream; each one costs a tiling and a window per octave.
MAX_ANALYSES = 64

#: Channels or pairs of one analysis; each one is a result per octave and tile.
MAX_CHANNEL_SETS = 1024

#: Rows per octave: neighbouring rows are copies of each other long before this.
MAX_VOICES_PER_OCTAVE = 96

#: Octaves that a position within 63 bits can have.
MAX_OCTAVE = 62

#: Backends of one benchmark; each one computes the same several times.
MAX_BENCHMARK_BACKENDS = 8

#: Tasks of one job: its status stays well below one message.
MAX_TASKS_PER_JOB = 1000

#: The tasks of one job together, in the object store: each worker that spreads them holds them.
MAX_JOB_BYTES = 256 * 1024 * 1024

#: Jobs in one listing: it stays well below one message.
MAX_LISTED_JOBS = 1000

#: Seconds of one core that one task of a job may take, as estimated before: about a day.
MAX_TASK_COST_S = 100_000.0

#: Tasks of one share of a simulation: an octave has no more of them in one round.
MAX_SHARE_TASKS = 32

#: Items of one msgpack list or map, so that a few bytes can't claim gigabytes.
MAX_PACKED_ITEMS = 1024 * 1024

#: The largest body in JSON that a service reads: `MAX_QUERY_SAMPLES` numbers of eight characters. A
#: number of JSON takes ten times its bytes while it is read, so longer signals are for msgpack.
MAX_JSON_BYTES = 4 * 1024 * 1024

#: Bodies smaller than this are not scanned: they cannot hold enough to be expensive.
SCAN_FROM_BYTES = 4 * 1024

#: Lists in one body: rows of samples, one for each time step.
MAX_BODY_LISTS = 128 * 1024

#: Objects in one body: the channels of a stream, the tasks of a job.
MAX_BODY_MAPS = 32 * 1024

#: Keys and texts in one body: the names in `MAX_ANALYSES` analyses of `MAX_CHANNEL_SETS` pairs, and
#: a quarter more.
MAX_BODY_TEXTS = 160 * 1024

#: Elements of all lists and objects of one body in msgpack together: two signals of
#: `MAX_QUERY_SAMPLES`, or a chunk of `MAX_CHUNK_SAMPLES`, written as lists.
MAX_BODY_ITEMS = MAX_PACKED_ITEMS + MAX_BODY_LISTS

#: Keys of one object: a checkpoint has one for each octave of `MAX_ANALYSES` analyses.
MAX_MAP_KEYS = 4096

#: Levels of nesting of a body; no message has ten.
MAX_DEPTH = 32

#: Problems that one refusal lists; it has to fit a terminal.
MAX_LISTED_PROBLEMS = 50

#: Largest position, time in nanoseconds, or sequence number: a signed 64-bit integer.
MAX_INT64 = 2**63 - 1

#: Index of the first sample of a chunk: 28 years at 10 MHz, and far from where int64 overflows.
MAX_FIRST_SAMPLE = 2**53

#: Time stamp of a chunk: the year 2116, far from where int64 overflows.
MAX_T0_NS = 2**62

#: Results per second of one stream: each one is a message, and a few workers keep about so many.
MAX_RESULTS_PER_S = 5000

#: Seconds that one query may take of one core, as estimated before any work. More is for a job.
MAX_QUERY_COST_S = 30.0

#: Characters of an explanation meant for people.
MAX_TEXT = 4096

#: Characters of an id; `stream/epoch/analysis/channel:channel/octave/tile` of the longest names.
MAX_ID = 512

#: Seconds of samples that may wait for a missing chunk: longer, and a live result is none.
MAX_REORDER_S = 60.0
