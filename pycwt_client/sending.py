"""Settings of a publisher: batches, encoding and retries."""

from __future__ import annotations

from dataclasses import dataclass

from cwt_runtime.retry import RetryPolicy
from cwt_schemas.codec import ContentType
from cwt_schemas.limits import MAX_CHUNK_SAMPLES
from pycwt_client.chunk_messages import ChunkEncoding

__all__ = ["BATCH_S", "IN_FLIGHT", "PATIENT", "Sending"]

#: About half a minute in total; a restart of the server or an election takes a few seconds.
PATIENT = RetryPolicy(first_delay_s=0.1, factor=2.0, max_delay_s=5.0, max_tries=12)
#: Enough to hide the latency of a server some milliseconds away; more would only wait in order.
IN_FLIGHT = 8
#: Delay of pushed samples, short compared with a hop; fifty chunks a second are cheap.
BATCH_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Sending:
    """Settings of a publisher."""

    in_flight: int = IN_FLIGHT
    encoding: ChunkEncoding = ContentType.OCTETS
    retry: RetryPolicy = PATIENT
    #: Pushed samples are sent at this number of samples, or after this number of seconds.
    batch_samples: int = MAX_CHUNK_SAMPLES
    batch_s: float = BATCH_S

    def __post_init__(self) -> None:
        for name in ("in_flight", "batch_samples"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"{name}={value} must be >= 1")
        if self.batch_s <= 0:
            raise ValueError(f"batch_s={self.batch_s:g} must be > 0")
