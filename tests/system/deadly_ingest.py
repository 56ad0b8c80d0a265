"""Ingest whose process is killed by reading one chunk, as a fault of a parser would."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from functools import partial

from cwt_ingest.app import serve
from cwt_ingest.processor import read_chunk
from cwt_ingest.settings import IngestSettings
from cwt_runtime.process.lifecycle import run_service
from cwt_schemas.errors import ContractError
from cwt_schemas.live import SignalChunk

__all__ = ["DEADLY_FIRST"]

#: The chunk begins with this sample.
DEADLY_FIRST = 300


def deadly(headers: Mapping[str, str], body: bytes, channels: int) -> SignalChunk | ContractError:
    """Return the chunk, or end the process."""
    chunk = read_chunk(headers, body, channels)
    if isinstance(chunk, SignalChunk) and chunk.first_sample == DEADLY_FIRST:
        os.kill(os.getpid(), signal.SIGKILL)
    return chunk


if __name__ == "__main__":
    sys.exit(run_service("ingest", "", IngestSettings, partial(serve, read=deadly)))
