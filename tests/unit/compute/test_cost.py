"""What questions cost, before any work is done."""

from __future__ import annotations

import time

import numpy as np
import pytest

from cwt_compute.queries.cost import cost_s, reply_bytes
from cwt_compute.queries.transforms import (
    answer_cwt,
    answer_significance,
    answer_wct,
    answer_xwt,
)
from cwt_schemas import subjects
from cwt_schemas.errors import Unprocessable
from cwt_schemas.limits import MAX_QUERY_COST_S
from cwt_schemas.query import (
    BackendsRequest,
    BenchmarkRequest,
    CwtRequest,
    Precision,
    SignificanceRequest,
    WctRequest,
    XwtRequest,
)

X, Y = np.random.default_rng(1).standard_normal((2, 2000))
LEVEL = SignificanceRequest(al1=0.5, al2=0.5, dt=1, dj=0.25, s0=2, J=40)


def test_more_samples_scales_pairs_or_runs_cost_more() -> None:
    pair = WctRequest(signal1=X, signal2=Y, dt=1)
    ascending = [
        BackendsRequest(),
        CwtRequest(data=X, dt=1),
        XwtRequest(signal1=X, signal2=Y, dt=1),
        pair.model_copy(update={"significance_level": None}),
        pair.model_copy(update={"significance_level": None, "dj": 0.1}),
        pair,
        pair.model_copy(update={"mc_count": 3000}),
        BenchmarkRequest(signal_length=2000, mc_count=3000),
    ]
    costs = [cost_s(request) for request in ascending]
    assert costs == sorted(set(costs))
    table = pair.model_copy(update={"method": "table"})
    assert cost_s(table) == cost_s(pair.model_copy(update={"significance_level": None}))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_request_estimates_size_of_its_reply(dtype: Precision) -> None:
    """Those of float32 were counted twice, so a coherence of 5 MB was not sent ahead."""
    wave = answer_cwt(one := CwtRequest(data=X, dt=1, dtype=dtype)).wave
    cross = answer_xwt(two := XwtRequest(signal1=X, signal2=Y, dt=1, dtype=dtype))
    request = WctRequest(signal1=X, signal2=Y, dt=1, dtype=dtype, significance_level=None)
    coherence = answer_wct(request)
    assert reply_bytes(one) == wave.nbytes
    assert reply_bytes(two) == cross.xwt.nbytes + cross.phase.nbytes
    assert reply_bytes(request) == coherence.WCT.nbytes + coherence.aWCT.nbytes


def test_an_estimate_is_of_the_order_of_what_it_takes() -> None:
    """Wide limits: machines differ, and this one may be busy; what is waited for is not counted."""
    request = WctRequest(signal1=X, signal2=Y, dt=1, mc_count=400)
    answer_wct(request)
    started = time.thread_time()
    answer_wct(request)
    assert 0.1 < cost_s(request) / (time.thread_time() - started) < 10


def test_what_takes_too_long_is_pointed_to_the_jobs_with_what_is_possible() -> None:
    with pytest.raises(Unprocessable, match=r"cwt\.job\.submit") as caught:
        answer_significance(LEVEL.model_copy(update={"mc_count": 100_000}))
    detail = caught.value.detail
    assert detail is not None
    assert detail["subject"] == subjects.job("submit")
    assert float(str(detail["cost_s"])) > MAX_QUERY_COST_S == detail["limit_s"]
    assert caught.value.fields == ("mc_count",)


def test_the_number_of_pairs_that_a_refusal_names_is_not_refused() -> None:
    with pytest.raises(Unprocessable) as caught:
        answer_significance(LEVEL.model_copy(update={"mc_count": 100}), max_cost_s=0.06)
    possible = int(caught.value.message.split("which is ")[1].split(" ")[0])
    assert 0 < possible < 100
    answer_significance(LEVEL.model_copy(update={"mc_count": possible}), max_cost_s=0.06)


def test_octaves_without_end_are_refused() -> None:
    with pytest.raises(Unprocessable, match="octaves") as caught:
        answer_significance(LEVEL.model_copy(update={"J": 4000}))
    assert caught.value.fields == ("J",)
