"""Settings of ingest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cwt_ingest.result_rate import RESULTS_BYTES_PER_S
from cwt_runtime.settings import ServiceSettings

__all__ = ["IngestSettings"]


class IngestSettings(ServiceSettings):
    """Settings of ingest in addition to those of every service."""

    windows_per_stream: Annotated[int, Field(ge=1)] = Field(
        128, description="windows of one stream that may wait for workers; the rest waits as chunks"
    )
    lag_event_s: Annotated[float, Field(gt=0)] = Field(
        10.0, description="lag at which a stream gets a `lag` event, seconds"
    )
    streams_max: Annotated[int, Field(ge=1)] = Field(
        1000, description="maximum number of defined streams"
    )
    results_bytes_per_s: Annotated[int, Field(ge=1)] = Field(
        RESULTS_BYTES_PER_S,
        description="maximum size of the results of one stream per second, bytes; a definition "
        "above it is refused",
    )
    signals_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.25,
        description="fraction of the signal log that one stream may use when the log is three "
        "quarters full",
    )
    defined_only: bool = Field(
        False, description="reject samples of streams that are not defined (securing.md)"
    )
    copies: bool = Field(
        False, description="copy results to the account of readers and analysts (securing.md)"
    )
