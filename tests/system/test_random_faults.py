"""Random faults of processes and devices: results are right and unique, and losses reported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import anyio
import numpy as np
import pytest

from cwt_schemas import subjects
from cwt_schemas.analysis import AnalysisSpec
from tests.deadlines import SCALE, fail_after
from tests.seed import chance
from tests.system.laboratory import SERVER, Laboratory, faults, laboratory, rubbish, sent
from tests.system.recording import (
    CHUNK,
    Recording,
    block_of,
    check,
    definition,
    expected_count,
    final,
    only,
    shuffled,
)

pytestmark = [pytest.mark.anyio, pytest.mark.system]

#: A recording of 4000 samples, one chunk every 30 ms.
PLAYING_S = 2.4
#: Windows of one stream that may wait for a worker, and those that workers have at the moment.
PART_OF_QUEUE, UNDER_WAY = 128, 16
#: Far longer than a window waits for a worker that is there.
STALE_S = 1.0 * SCALE
WORKERS = tuple(f"compute-{i}" for i in range(3))
INGESTS = tuple(f"ingest-{i}" for i in range(2))


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Laboratory]:
    """Two ingests and three workers, for all of these tests: each has a stream of its own."""
    folder = tmp_path_factory.mktemp("laboratory")
    async with laboratory(folder, ingests=len(INGESTS), workers=len(WORKERS)) as running:
        yield running


@pytest.fixture
async def lab(shared: Laboratory) -> Laboratory:
    """The laboratory with everybody alive."""
    await shared.everybody()
    shared.history.clear()
    return shared


async def survives(lab: Laboratory, name: str, who: tuple[str, ...], times: int) -> None:
    """Play a recording while random processes are killed, and check the results."""
    rng, stream = chance(name), definition(name)
    recording = Recording.of(rng)
    await lab.client.put_stream(stream)
    schedule = faults(rng, who, times=times, within_s=PLAYING_S)
    await lab.play(name, sent(name, [*recording.chunks(), final(recording)]), schedule)
    results = await lab.results(name, expected_count(stream, [recording]))
    check(results, stream, recording)
    assert await lab.events(name) == [], str(lab)


async def test_without_any_fault_live_equals_offline(lab: Laboratory) -> None:
    await survives(lab, "calm", (), 0)


async def test_workers_killed_at_random_times(lab: Laboratory) -> None:
    await survives(lab, "workers", WORKERS, 4)


async def test_ingests_killed_at_random_times(lab: Laboratory) -> None:
    await survives(lab, "ingests", INGESTS, 3)


async def test_the_server_killed_and_restarted_on_its_store(lab: Laboratory) -> None:
    await survives(lab, "server", (SERVER,), 2)


async def test_all_processes_killed_at_random_times(lab: Laboratory) -> None:
    await survives(lab, "anybody", (*WORKERS, *INGESTS, SERVER), 5)


async def test_ingest_killed_after_storing_window_repeats_none(
    lab: Laboratory,
) -> None:
    """Between the window's acknowledgement and the checkpoint, which is written once a second."""
    rng, stream = chance("window"), definition("window")
    recording = Recording.of(rng)
    await lab.client.put_stream(stream)
    messages = sent(stream.name, [*recording.chunks(), final(recording)])
    for part in np.array_split(np.arange(len(messages)), 3):
        async with lab.bus.subscribe(subjects.window(stream.name, "c")) as windows:
            await lab.play(stream.name, [messages[at] for at in part], every_s=0.0)
            with fail_after(30):
                for _ in range(rng.randint(1, 4)):
                    await anext(aiter(windows))
        await lab.kill_and_start(INGESTS)  # the one that owns the stream, whichever it is
    check(await lab.results("window", expected_count(stream, [recording])), stream, recording)
    assert await lab.events("window") == []


async def test_repeated_chunks_count_once_and_are_reported(lab: Laboratory) -> None:
    rng, stream = chance("twice"), definition("twice")
    recording = Recording.of(rng)
    once = sent("twice", recording.chunks())
    again = [replace(each, msg_id=f"{each.msg_id}/again") for each in once]
    await lab.client.put_stream(stream)
    end = replace(sent("twice", [final(recording)])[0], msg_id="end")
    # Of each chunk the server drops the second, by its id, and ingest the third, by its position.
    three = [each for copies in zip(once, once, again, strict=True) for each in copies]
    await lab.play("twice", [*three, end], every_s=0.0)
    check(await lab.results("twice", expected_count(stream, [recording])), stream, recording)
    chunks, told = recording.chunks(), await lab.events("twice")
    with fail_after(30):
        # After twenty they are added up, and told when the log has been quiet.
        while sum(event.count for event in told) < len(chunks):
            await anyio.sleep(0.1)
            told = await lab.events("twice")
    assert {event.kind for event in told} == {"overlap"}
    assert [event.first_sample for event in told[:20]] == [c.first_sample for c in chunks[:20]]
    assert sum(event.count for event in told) == len(chunks)
    assert sum(event.n_samples or 0 for event in told) == sum(c.n_samples for c in chunks)


async def test_chunks_shuffled_within_ten_places_are_put_in_order(lab: Laboratory) -> None:
    rng, stream = chance("shuffled"), definition("shuffled")
    recording = Recording.of(rng)
    await lab.client.put_stream(stream)
    chunks = [*shuffled(rng, recording.chunks(), within=10), final(recording)]
    await lab.play("shuffled", sent("shuffled", chunks), every_s=0.01)
    check(await lab.results("shuffled", expected_count(stream, [recording])), stream, recording)
    assert await lab.events("shuffled") == []


async def test_missing_chunks_are_reported_and_masked_and_neighbours_are_exact(
    lab: Laboratory,
) -> None:
    rng, stream = chance("gaps"), definition("gaps")
    recording = Recording.of(rng)
    chunks = recording.chunks()
    missing = sorted(rng.sample(range(15, len(chunks) - 15), 3))
    missing = sorted({*missing, missing[1] + 1})  # two of them in a row
    await lab.client.put_stream(stream)
    kept = [chunk for at, chunk in enumerate(chunks) if at not in missing]
    await lab.play("gaps", sent("gaps", [*kept, final(recording)]), every_s=0.0)
    lost = [(at * CHUNK, (at + 1) * CHUNK) for at in missing]
    check(await lab.results("gaps", expected_count(stream, [recording])), stream, recording, lost)
    told = await lab.events("gaps")
    assert {event.kind for event in told} == {"gap"}
    gaps = {(e.first_sample or 0) + i for e in told for i in range(e.n_samples or 0)}
    assert gaps == {at for first, end in lost for at in range(first, end)}


async def test_restarted_device_begins_epoch_and_old_epoch_is_completed(
    lab: Laboratory,
) -> None:
    rng, stream = chance("restart"), definition("restart")
    before, after = Recording.of(rng, 2000, "before"), Recording.of(rng, 2000, "after")
    await lab.client.put_stream(stream)
    chunks = [*before.chunks(), *after.chunks(), final(after)]
    await lab.play("restart", sent("restart", chunks), every_s=0.0)
    results = await lab.results("restart", expected_count(stream, [before, after]))
    check(results, stream, before)
    check(results, stream, after)
    assert [event.kind for event in await lab.events("restart")] == ["reset"]


async def test_invalid_chunks_are_reported_and_missing_values_masked(lab: Laboratory) -> None:
    rng, stream = chance("rubbish"), definition("rubbish")
    recording = Recording.of(rng)
    at = rng.randrange(30, 50) * CHUNK + rng.randrange(CHUNK - 7)  # within one chunk
    holed = recording.samples.copy()
    holed[at : at + 7, 0] = np.nan
    messages = sent("rubbish", [*Recording(holed).chunks(), final(recording)])
    wrong = list(rubbish(rng))
    for each in wrong:
        messages.insert(rng.randrange(len(messages) - 1), each)
    await lab.client.put_stream(stream)
    await lab.play("rubbish", messages, every_s=0.0)
    results = await lab.results("rubbish", expected_count(stream, [recording]))
    untouched = [result for result in results if result.channels == ("y",)]
    touched = [result for result in results if result.channels != ("y",)]
    check(untouched, only(stream, [("y",)]), recording)
    check(touched, only(stream, [("x",), ("x", "y")]), recording, [(at, at + 7)])
    told = await lab.events("rubbish")
    assert sorted(event.kind for event in told) == [
        "missing", "recovered", *["rejected"] * len(wrong)
    ]  # fmt: skip
    assert all(event.detail for event in told)
    (missing,) = [event for event in told if event.kind == "missing"]
    assert missing.first_sample == at


async def test_only_expired_windows_are_dropped_reported_and_masked(
    lab: Laboratory,
) -> None:
    rng = chance("stale")
    stream = definition("stale", when_behind="latest", stale_after_s=STALE_S)
    recording = Recording.of(rng)
    messages = sent("stale", [*recording.chunks(), final(recording)])
    await lab.client.put_stream(stream)
    for name in WORKERS:
        lab.system.kill(name)
    await lab.play("stale", messages[:40], every_s=0.0)
    await anyio.sleep(1.5 * STALE_S)  # until every window has waited too long
    await lab.everybody()
    await until_dropped(lab, "stale", 60)
    await lab.idle()  # else the windows to come wait behind the old ones, perhaps too long as well
    await lab.play("stale", messages[40:])
    results = await lab.results("stale", expected_count(stream, [recording]))
    dropped = {block_of(each) for each in results if each.engine.backend == "none"}
    assert 60 <= len(dropped) < len({block_of(each) for each in results})
    await until_dropped(lab, "stale", len(dropped))
    events = await lab.events("stale")
    assert sum(event.count for event in events) == len(dropped)
    assert sum(event.n_samples or 0 for event in events) == sum(length for *_, length in dropped)
    for each in results:
        waited_s = (each.times_ns.computed - each.times_ns.received) / 1e9
        assert block_of(each) not in dropped or waited_s > STALE_S
    check(results, stream, recording, dropped=dropped)


async def until_dropped(lab: Laboratory, stream: str, blocks: int) -> None:
    """Return when `blocks` blocks of the stream were reported as dropped."""
    dropped = 0
    async with lab.client.events(stream) as told:
        with fail_after(60):
            while dropped < blocks:
                event = await anext(told)
                if event.kind == "dropped":
                    dropped += event.count


async def test_flooding_stream_delays_others_by_its_queue_share_only(
    lab: Laboratory,
) -> None:
    rng, calm = chance("calm beside a flood"), definition("calm2")
    many = AnalysisSpec(
        name="many", op="wct", pairs=(("x", "y"),), fmin_hz=2, fmax_hz=16, hop_s=0.05,
        quantity="coherence",
    )  # fmt: skip
    flood = definition("flood", analyses=(many,))
    torrent, recording = Recording.of(rng, 8000), Recording.of(rng, 1000)
    for stream in (flood, calm):
        await lab.client.put_stream(stream)
    await lab.play("flood", sent("flood", [*torrent.chunks(), final(torrent)]), every_s=0.0)
    await lab.play("calm2", sent("calm2", [*recording.chunks(), final(recording)]))
    own = await lab.results("calm2", expected_count(calm, [recording]))
    check(own, calm, recording)
    others = await lab.results("flood", expected_count(flood, [torrent]))
    computed = np.sort([each.times_ns.computed for each in others])
    assert computed[-1] > max(each.times_ns.computed for each in own), "the flood was over before"
    for each in own:
        span = (each.times_ns.windowed, each.times_ns.computed)
        first, last = np.searchsorted(computed, span)
        assert last - first <= PART_OF_QUEUE + UNDER_WAY
