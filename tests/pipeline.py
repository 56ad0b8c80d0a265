"""The data flow without a bus: the exact results that the running system must produce."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from cwt_compute.live.windows import Provenance, compute_window
from cwt_ingest.processor import LogEntry, Output, Stored, StreamProcessor, read_chunk
from cwt_schemas.checkpoint import StreamCheckpoint
from cwt_schemas.chunk_codec import encode_raw_chunk
from cwt_schemas.live import AnalysisResult, AnalysisWindow, SignalChunk
from cwt_schemas.pair_result import LiveResult
from cwt_schemas.stream import StreamDefinition

__all__ = ["chunks_of", "entry", "fresh", "numbers", "outputs", "results", "stored"]

NOWHERE = Provenance(worker="test", computed_ns=0)


def fresh(definition: StreamDefinition) -> StreamCheckpoint:
    """Return the checkpoint of a stream that was just defined on an empty log."""
    return StreamCheckpoint(
        stream=definition.name,
        definition_revision=1,
        replay_from_seq=1,
        last_seq=0,
    )


def chunks_of(
    samples: NDArray[np.floating], lengths: Iterable[int], *, epoch: str = "e"
) -> Iterator[SignalChunk]:
    """Cut a recording into chunks of the given lengths, until it ends."""
    first = 0
    for n in lengths:
        if first >= len(samples):
            return
        piece = samples[first : first + n]
        yield SignalChunk(epoch=epoch, first_sample=first, samples=piece)
        first += len(piece)


def entry(chunk: SignalChunk, seq: int) -> LogEntry:
    """Return `chunk` as message `seq` of the log."""
    headers, body = encode_raw_chunk(chunk)
    return LogEntry(
        seq=seq, stored_ns=seq, chunk=read_chunk(headers, body, chunk.n_channels), now_ns=0
    )


def outputs(
    definition: StreamDefinition, chunks: Iterable[SignalChunk], *, first_seq: int = 1
) -> Iterator[Output]:
    """Yield the outputs of ingest for the chunks and the quiet period after them."""
    processor = StreamProcessor(definition, fresh(definition))
    for seq, chunk in enumerate(chunks, first_seq):
        yield from processor.take(entry(chunk, seq))
    processor.note_release()
    yield from processor.release(0)


def stored(outputs: Iterable[Output]) -> list[Stored]:
    """Return the outputs that are stored."""
    return [each for each in outputs if isinstance(each, Stored)]


def results(
    definition: StreamDefinition, chunks: Iterable[SignalChunk]
) -> dict[str, AnalysisResult]:
    """Return the results of the system for the chunks, by id."""
    return {
        result.id: result
        for result in live_results(definition, chunks)
        if isinstance(result, AnalysisResult)
    }


def live_results(
    definition: StreamDefinition, chunks: Iterable[SignalChunk]
) -> Iterator[LiveResult]:
    """Yield the results of the system for the chunks, those of all pairs included."""
    for output in outputs(definition, chunks):
        if isinstance(output, AnalysisWindow):
            yield from compute_window(output, NOWHERE)


def numbers(result: AnalysisResult) -> AnalysisResult:
    """Return the result without the fields that depend on the worker and the time."""
    return result.model_copy(
        update={
            "engine": result.engine.model_copy(update={"worker": ""}),
            "times_ns": result.times_ns.model_copy(
                update={"received": 0, "windowed": 0, "computed": 0}
            ),
            "t0_ns": None,
            "t0_raw_ns": None,
        }
    )
