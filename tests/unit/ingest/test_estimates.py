"""The newest samples that ingest sends, the fits that it requests, and what it reports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import repeat

import anyio
import numpy as np
import orjson
import pytest
from anyio.abc import TaskGroup

from cwt_compute.live.estimates import estimate_newest, fit_models
from cwt_ingest.coverage import KEPT, SETTLING, Coverage
from cwt_ingest.estimate_publisher import EstimatePublisher
from cwt_ingest.estimates import EstimateFeed, Fit, check_estimates
from cwt_ingest.processor import Output, StreamProcessor
from cwt_runtime.bus import Message, Subscription
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import Unprocessable
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.provisional import FitRequest, NewestSamples, OctaveCalibration
from cwt_schemas.stream import StreamDefinition
from pycwt_mod import rednoise
from tests import pipeline
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus


def definition(**changes: object) -> StreamDefinition:
    spec = {
        "name": "a", "op": "cwt", "channels": ["y"], "fmin_hz": 3.2, "fmax_hz": 10,
        "voices_per_octave": 4, "hop_s": 1, "quantity": "power", "provisional": {"delay_s": 0.1},
        **changes,
    }  # fmt: skip
    return StreamDefinition.model_validate(
        {"name": "s", "fs_hz": 100, "channels": [{"name": "x"}, {"name": "y"}], "analyses": [spec]}
    )


def run(stream: StreamDefinition, n: int = 1000) -> Iterator[tuple[StreamProcessor, Output]]:
    """Yield the outputs for noise in chunks of 20 samples; fits are carried out."""
    samples = np.stack([np.zeros(n), rednoise(n, 0.8, rng=1)], axis=1)
    processor = StreamProcessor(stream, pipeline.fresh(stream))
    for seq, chunk in enumerate(pipeline.chunks_of(samples, repeat(20)), 1):
        for output in processor.take(pipeline.entry(chunk, seq)):
            if isinstance(output, Fit):
                output.done(fit_models(output.request))
            yield processor, output


def test_every_chunk_is_followed_by_the_newest_samples_and_estimates_have_intervals() -> None:
    newest = [out for _, out in run(definition()) if isinstance(out, NewestSamples)]
    assert [each.end for each in newest] == list(range(20, 1001, 20))
    estimate = estimate_newest(newest[-1], worker="w")
    assert estimate.channels == ("y",)
    assert estimate.amplitude is not None
    assert estimate.amplitude_low is not None
    assert (estimate.amplitude_low <= estimate.amplitude).all()
    assert estimate.values is None
    np.testing.assert_allclose(estimate.delay_s, 0.1, rtol=1e-6)


def test_a_stream_without_estimates_sends_no_samples_and_has_no_status() -> None:
    for processor, output in run(definition(provisional=None), 400):
        assert not isinstance(output, NewestSamples | Fit)
        assert not processor.progress().provisional


def test_chunks_that_are_read_late_have_no_estimates() -> None:
    processor = StreamProcessor(definition(), pipeline.fresh(definition()))
    for seq, chunk in enumerate(pipeline.chunks_of(np.ones((400, 2)), repeat(20)), 1):
        late = pipeline.entry(chunk, seq)
        outputs = processor.take(type(late)(**{**vars(late), "is_newest": False}))
        assert not [each for each in outputs if isinstance(each, NewestSamples | Fit)]


def test_the_status_has_the_coverage_of_every_octave() -> None:
    *_, (processor, _) = run(definition(), 3000)
    high, low = processor.progress().provisional
    assert (high.analysis, high.octave, low.octave) == ("a", 0, 1)
    assert high.compared > 500
    assert 0.8 < high.coverage["phase"] <= 1
    assert high.scale["amplitude"] > 0


def test_windows_and_hashes_are_the_same_with_and_without_estimates() -> None:
    with_, without = (
        {each.id: each for each in pipeline.stored(out for _, out in run(definition(**changes)))}
        for changes in ({}, {"provisional": None})
    )
    assert with_ == without
    assert with_


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"wavelet": "dog"}, "is real"),
        ({"fmin_hz": 0.001}, "at most 262144 are allowed: raise fmin_hz"),
    ],
)
def test_impossible_estimates_are_refused_with_what_to_do(
    changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(Unprocessable, match=problem) as caught:
        check_estimates(definition(**changes), max_message_bytes=8_000_000)
    assert "analyses.a.provisional" in caught.value.message


def test_a_model_that_does_not_fit_is_reported_once_and_so_is_that_it_fits_again() -> None:
    coverage, n, covered = Coverage(), 0, 0
    reports: list[str] = []
    for fits, part in ((SETTLING, 95), (round(3 / (1 - KEPT)), 80), (round(6 / (1 - KEPT)), 95)):
        for _ in range(fits):
            n, covered = n + 100, covered + part
            state = OctaveCalibration(
                compared=n, coverage={"phase": covered / n}, scale={"phase": 1.0}
            )
            reports.extend(filter(None, [coverage.update([state])]))
    assert [("does not fit" in each, "fits again" in each) for each in reports] == [
        (True, False), (False, True),
    ]  # fmt: skip


def test_coverage_begins_again_when_a_worker_cannot_read_the_state() -> None:
    coverage = Coverage()
    for n in (*range(100, 100 * SETTLING + 1, 100), 10, 20):
        state = OctaveCalibration(compared=n, coverage={"phase": 0.95}, scale={"phase": 1.0})
        assert coverage.update([state]) is None
    assert coverage.status("a", 0, None).coverage == {"phase": pytest.approx(0.95)}
    assert coverage.update([]) is None


def test_state_that_cannot_be_read_is_refused_and_dropped() -> None:
    fits = (out for _, out in run(definition()) if isinstance(out, Fit))
    *_, fit = (each for each in fits if each.request.state is not None)
    changed = orjson.dumps({**orjson.loads(fit.request.state or b""), "state": {"fits": []}})
    with pytest.raises(Unprocessable, match="begin without it"):
        fit_models(fit.request.model_copy(update={"state": changed}))
    fit.failed()
    assert fit.octave.state is None


@pytest.mark.anyio
async def test_fit_is_requested_again_without_further_samples() -> None:
    """A fit that took longer than a request was due again only at the next chunk."""
    (fit, *_) = [out for _, out in run(definition(), 400) if isinstance(out, Fit)]
    fit.octave.in_progress, fit.octave.fitted = True, None
    async with fitting(fit) as (bus, tasks):  # no worker yet
        async with bus.subscribe(subjects.query("fit")) as requests:
            with fail_after(10):
                request = await anext(aiter(requests))
        reply = fit_models(decode(FitRequest, request.data, ContentType.MSGPACK))
        await bus.publish(
            request.reply or "",
            encode(reply, ContentType.MSGPACK),
            {CONTENT_TYPE: ContentType.MSGPACK.value},
        )
        await anyio.wait_all_tasks_blocked()
        assert fit.octave.fitted == fit.request.end
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_fit_is_not_requested_after_the_stream_restarts() -> None:
    samples, feed = np.zeros((400, 2)), EstimateFeed(definition())
    feed.push(0, samples)
    fits = list(feed.fits())
    feed.restart(0)
    assert fits
    for fit in fits:
        async with fitting(fit) as (bus, tasks):
            received: list[Message] = []
            async with bus.subscribe(subjects.query("fit")) as requests:
                tasks.start_soon(collect, requests, received)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            assert received == []


async def collect(messages: Subscription, received: list[Message]) -> None:
    async for message in messages:
        received.append(message)  # noqa: PERF401 - read while it is filled


@asynccontextmanager
async def fitting(fit: Fit) -> AsyncIterator[tuple[MemoryBus, TaskGroup]]:
    bus = MemoryBus()
    publisher = EstimatePublisher(bus, logger("test"))
    async with anyio.create_task_group() as tasks:
        await publisher.take(fit)
        tasks.start_soon(publisher.run)
        yield bus, tasks
