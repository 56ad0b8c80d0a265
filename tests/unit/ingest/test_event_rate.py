"""The bounded rate of the events of ingest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cwt_ingest.processor import Output, StreamProcessor
from cwt_schemas.live import SignalChunk, StreamEvent
from tests import pipeline
from tests.unit.ingest.parts import definition

S = 10**9


def test_chunks_that_cannot_be_processed_are_reported_at_that_rate() -> None:
    """Each of them had an event of its own."""
    stream = definition()
    processor, told = StreamProcessor(stream, pipeline.fresh(stream)), list[StreamEvent]()
    [chunk] = pipeline.chunks_of(np.zeros(3), [3])
    for seq in range(1, 301):
        entry = replace(pipeline.entry(chunk, seq), stored_ns=seq * S // 100)
        told += (
            out
            for out in processor.failed(ZeroDivisionError(), entry)
            if isinstance(out, StreamEvent)
        )
    told += (out for out in processor.release(0) if isinstance(out, StreamEvent))
    assert len(told) <= 20 + 4
    assert sum(each.count for each in told) == 300
    assert len({each.id for each in told}) == len(told)


def outputs(processor: StreamProcessor, chunks: list[SignalChunk], start: int) -> list[Output]:
    return [
        output
        for seq, chunk in enumerate(chunks, 1)
        if seq >= start
        for output in processor.take(replace(pipeline.entry(chunk, seq), stored_ns=seq * S // 10))
    ]


def test_from_a_checkpoint_in_a_flood_the_events_are_the_same() -> None:
    stream = definition()
    once = pipeline.chunks_of(np.sin(np.arange(300)), [3] * 100)
    chunks = [chunk for chunk in once for _ in range(2)]
    straight = StreamProcessor(stream, pipeline.fresh(stream))
    expected = outputs(straight, chunks, 1)
    assert straight.waiting_s > 0
    for kept in (5, 30, 77, 150):
        first = StreamProcessor(stream, pipeline.fresh(stream))
        before = outputs(first, chunks[:kept], 1)
        second = StreamProcessor(stream, first.checkpoint())
        after = outputs(second, chunks, second.replay_from_seq)
        assert [*before, *after] == expected
        assert second.checkpoint().events == straight.checkpoint().events
