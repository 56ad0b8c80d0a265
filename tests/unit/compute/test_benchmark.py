"""The same task on every backend."""

from __future__ import annotations

import pytest

import pycwt_mod
from cwt_compute.queries.benchmark import answer_benchmark
from cwt_schemas.errors import Unprocessable
from cwt_schemas.query import BenchmarkRequest
from tests.backends import Broken


def small(*backends: str) -> BenchmarkRequest:
    return BenchmarkRequest(signal_length=64, mc_count=4, backends=backends)


def test_the_measure_is_run_whether_asked_for_or_not_and_is_its_own_measure() -> None:
    reply = answer_benchmark(small("joblib"))
    assert list(reply.results) == ["sequential", "joblib"]
    assert reply.results["sequential"].speedup == 1
    assert (reply.signal_length, reply.mc_count) == (64, 4)


def test_the_speedup_is_the_quotient_of_the_times_and_the_numbers_are_the_same() -> None:
    found = answer_benchmark(small("sequential", "joblib")).results
    ours, theirs = found["sequential"].computation_time, found["joblib"].computation_time
    assert ours
    assert theirs
    assert found["joblib"].speedup == pytest.approx(ours / theirs)
    assert found["joblib"].max_difference == 0


def test_missing_backend_is_reported_and_others_are_measured() -> None:
    found = answer_benchmark(small("abacus", "sequential")).results
    assert found["abacus"].status == "unavailable"
    assert "abacus" in str(found["abacus"].error)
    assert found["sequential"].status == "ok"


def test_error_of_failing_backend_hides_secrets() -> None:
    with pycwt_mod.register_backend(Broken()):
        found = answer_benchmark(small("broken")).results["broken"]
    assert found.status == "failed"
    assert "RuntimeError" in str(found.error)
    assert "secret" not in str(found.error)


def test_a_benchmark_of_minutes_is_refused() -> None:
    with pytest.raises(Unprocessable, match="are allowed"):
        answer_benchmark(BenchmarkRequest(signal_length=100_000, mc_count=100_000))
