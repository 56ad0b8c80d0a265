"""How much a stream writes."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest

from cwt_ingest.lanes import plan_lanes
from cwt_ingest.result_rate import check_result_rate
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import Unprocessable
from cwt_schemas.stream import Channel, StreamDefinition
from tests import pipeline

FS, SECONDS = 250.0, 40
check = partial(check_result_rate, plan=plan_lanes)


def definition(count: int, /, **changes: object) -> StreamDefinition:
    fields: dict[str, object] = {
        "name": "a", "op": "wct", "pairs": "all", "fmin_hz": 4, "fmax_hz": 60, "hop_s": 0.5,
        "voices_per_octave": 8, "quantity": "coherence", **changes,
    }  # fmt: skip
    return StreamDefinition(
        name="s",
        fs_hz=FS,
        channels=tuple(Channel(name=f"c{i}") for i in range(count)),
        analyses=(AnalysisSpec.model_validate(fields),),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"phase": True, "significance": {"level": 0.95}, "decimate": 4},
        {"bands": [[4, 8], [8, 13]]},
        {"op": "cwt", "pairs": [], "channels": ["c0", "c1"], "quantity": "complex"},
        {"pairs": [["c0", "c1"], ["c3", "c2"]]},
    ],
)
def test_the_rate_is_what_the_results_take(changes: dict[str, object]) -> None:
    stream = definition(12, **changes)
    samples = np.random.default_rng(0).standard_normal((int(FS * SECONDS), 12)).astype("f4")
    written = sum(
        len(encode(result.model_copy(update={"mask": None}), ContentType.MSGPACK))
        for result in pipeline.live_results(stream, pipeline.chunks_of(samples, [len(samples)]))
    )
    # Windows extend beyond the end of the recording.
    assert check(stream, limit=10**9) == pytest.approx(written / SECONDS, rel=0.15)


def test_a_stream_that_would_write_too_much_is_told_what_would_fit() -> None:
    with pytest.raises(Unprocessable, match=r"analyses\.a: .*MB/s.*at most 4 MB/s") as caught:
        check(definition(64), limit=4_000_000)
    told = caught.value.message
    every = int(re.search(r"decimate to (\d+)", told)[1])  # type: ignore[index]
    bands = int(re.search(r"bands: (\d+)", told)[1])  # type: ignore[index]
    assert every > 2
    assert bands > 1
    assert check(definition(64, decimate=every), limit=4_000_000) > 2_000_000
    edges = np.linspace(4, 5, bands)
    wide = [[float(low), 60] for low in edges]
    assert check(definition(64, bands=wide), limit=4_000_000) > 2_000_000


def test_other_analyses_count_and_the_largest_is_named() -> None:
    large = definition(8)
    small = large.analyses[0].model_copy(update={"name": "b", "channels": ("c0", "c1")})
    both = large.model_copy(update={"analyses": (small, *large.analyses)})
    rate = check(large, limit=10**9)
    assert check(both, limit=10**9) > rate
    with pytest.raises(Unprocessable, match=r"analyses\.a"):
        check(both, limit=int(rate))
