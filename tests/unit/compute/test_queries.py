"""Questions about whole signals."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

import pycwt_mod
from cwt_compute.jobs.tasks import answer_task
from cwt_compute.queries.cost import output_cells
from cwt_compute.queries.simulation import answer_backend, answer_backends
from cwt_compute.queries.transforms import (
    answer_cwt,
    answer_significance,
    answer_wct,
    answer_xwt,
)
from cwt_schemas.analysis import Convention, Wavelet
from cwt_schemas.errors import NotFound, Unavailable, Unprocessable
from cwt_schemas.job import WctTask
from cwt_schemas.query import (
    CwtRequest,
    LevelMethod,
    Precision,
    SignificanceRequest,
    WctReply,
    WctRequest,
    XwtReply,
    XwtRequest,
)
from pycwt_client.answers import CwtAnswer, WctAnswer
from tests.backends import Away

N, DT = 256, 0.5
X, Y = np.random.default_rng(2).standard_normal((2, N))


def test_cwt_is_the_librarys() -> None:
    reply = answer_cwt(CwtRequest(data=X, dt=DT, mother="paul"))
    expected = pycwt_mod.cwt(X, DT, 0.25, wavelet="paul")
    np.testing.assert_array_equal(reply.wave, expected.coefs)
    np.testing.assert_array_equal(reply.freqs, expected.freqs)
    assert reply.computation_time > 0


def test_result_has_requested_precision() -> None:
    assert answer_cwt(CwtRequest(data=X, dt=DT, dtype="float32")).wave.dtype == np.complex64
    assert answer_cwt(CwtRequest(data=X, dt=DT)).wave.dtype == np.complex128


def test_result_has_requested_convention() -> None:
    standard = answer_cwt(CwtRequest(data=X + 9, dt=DT))
    pycwts = answer_cwt(CwtRequest(data=X + 9, dt=DT, convention="pycwt"))
    expected = pycwt_mod.cwt(X + 9, DT, 0.25, convention="pycwt")
    np.testing.assert_array_equal(pycwts.wave, expected.coefs)
    assert not np.array_equal(standard.wave, pycwts.wave)


def test_xwt_gives_the_phase_too() -> None:
    reply = answer_xwt(XwtRequest(signal1=X, signal2=Y, dt=DT))
    np.testing.assert_allclose(reply.phase, np.angle(reply.xwt))
    assert reply.signif is not None


def test_two_pure_sinusoids_are_answered_and_the_estimator_is_reported() -> None:
    t = np.linspace(0, 10, 50)
    pair = {"signal1": np.sin(t), "signal2": np.cos(t), "dt": 0.1, "mc_count": 2}
    expected = pycwt_mod.ar1(np.sin(t)).g
    for reply in (
        answer_wct(WctRequest.model_validate(pair)),
        answer_task(WctTask.model_validate({**pair, "type": "wct"})),
        answer_xwt(XwtRequest(signal1=np.sin(t), signal2=np.cos(t), dt=0.1)),
    ):
        assert isinstance(reply, WctReply | XwtReply)
        assert reply.lag1 is not None
        assert {each.estimator for each in reply.lag1} == {"autocorrelation"}
        assert reply.lag1[0].g == expected


def test_the_client_returns_the_coefficients_of_a_reply() -> None:
    reply = answer_wct(WctRequest(signal1=X, signal2=Y, dt=DT, mc_count=2))
    lag1 = WctAnswer.of(reply).lag1
    assert lag1 is not None
    assert (float(lag1[0].g), str(lag1[0].estimator)) == (pycwt_mod.ar1(X).g, "allen-smith")


def test_answers_of_the_client_can_be_drawn_and_copied() -> None:
    answer = WctAnswer.of(answer_wct(WctRequest(signal1=X, signal2=Y, dt=DT, mc_count=2)), DT)
    ax = answer.plot(ax=Figure().add_subplot())
    assert ax.get_xlim() == (0, (len(X) - 1) * DT)
    assert copy.copy(answer).computation_time == answer.computation_time
    assert answer._replace(freqs=2 * answer.freqs).seed == answer.seed


def test_axes_of_answers_can_be_scaled_in_place_without_changing_the_reply() -> None:
    reply = answer_cwt(CwtRequest(data=X, dt=DT))
    first = CwtAnswer.of(reply).freqs.copy()
    answer = CwtAnswer.of(reply)
    for axis in (answer.freqs, answer.scales, answer.coi, answer.fftfreqs):
        axis *= 365.25
    np.testing.assert_array_equal(CwtAnswer.of(reply).freqs, first)


def test_wct_without_a_level_has_none() -> None:
    reply = answer_wct(WctRequest(signal1=X, signal2=Y, dt=DT, significance_level=None))
    assert reply.signif is None
    assert reply.seed is None
    assert reply.WCT.max() <= 1


def test_query_without_seed_is_deterministic() -> None:
    request = WctRequest(signal1=X, signal2=Y, dt=DT, mc_count=5)
    first, again = answer_wct(request), answer_wct(request)
    assert first.seed == again.seed
    np.testing.assert_array_equal(first.signif, again.signif)
    other = answer_wct(request.model_copy(update={"signal1": Y}))
    assert other.seed != first.seed


def test_the_seed_in_the_reply_makes_the_same_level_again() -> None:
    first = answer_wct(WctRequest(signal1=X, signal2=Y, dt=DT, mc_count=10))
    again = answer_wct(WctRequest(signal1=X, signal2=Y, dt=DT, mc_count=10, seed=first.seed))
    assert first.signif is not None
    assert again.signif is not None
    np.testing.assert_array_equal(first.signif, again.signif)


def test_the_level_asked_for_is_the_level_given() -> None:
    low, high = (
        answer_wct(
            WctRequest(signal1=X, signal2=Y, dt=DT, mc_count=20, seed=1, significance_level=level)
        )
        for level in (0.8, 0.99)
    )
    assert low.signif is not None
    assert high.signif is not None
    assert np.nanmean(low.signif) < np.nanmean(high.signif)


def test_an_unknown_backend_is_not_found_with_those_there_are() -> None:
    with pytest.raises(NotFound, match="sequential"):
        answer_wct(WctRequest(signal1=X, signal2=Y, dt=DT, backend="abacus"))


def test_the_backends_are_listed() -> None:
    found = {info.name: info for info in answer_backends().backends}
    assert found["sequential"].available
    assert found["joblib"].available
    assert answer_backend("joblib") == found["joblib"]


def test_a_backend_that_is_not_available_is_replaced_only_on_request() -> None:
    request = WctRequest(signal1=X, signal2=Y, dt=DT, backend="away", mc_count=5)
    with pycwt_mod.register_backend(Away()):
        with pytest.raises(Unavailable, match=f"away.*{pycwt_mod.backend_info('away').error}"):
            answer_wct(request)
        reply = answer_wct(request.model_copy(update={"fallback": True}))
    assert reply.backend_used == "sequential"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (CwtRequest(data=np.ones(1), dt=DT), "data"),
        (WctRequest(signal1=np.ones(N), signal2=Y, dt=DT), "signal1"),
        (WctRequest(signal1=X, signal2=np.ones(N), dt=DT), "signal2"),
        (CwtRequest(data=np.full(N, np.nan), dt=DT), "data"),
    ],
)
def test_what_the_library_refuses_is_refused_by_the_requests_own_field(
    request_: CwtRequest | WctRequest, field: str
) -> None:
    with pytest.raises(Unprocessable) as caught:
        answer_cwt(request_) if isinstance(request_, CwtRequest) else answer_wct(request_)
    assert field in caught.value.fields


def test_an_answer_too_large_for_memory_is_refused_before_it_is_computed() -> None:
    request = CwtRequest(data=np.zeros(400_000), dt=DT, dj=0.01)
    with pytest.raises(Unprocessable, match="bytes"):
        answer_cwt(request)


def test_a_simulation_of_minutes_is_refused_with_what_is_possible() -> None:
    x = np.random.default_rng(0).standard_normal(20_000)
    request = WctRequest(signal1=x, signal2=x, dt=1, dj=1 / 12, mc_count=100_000)
    with pytest.raises(Unprocessable, match=r"100000 pairs.*\d+ pairs") as caught:
        answer_wct(request)
    assert "mc_count" in caught.value.fields


@pytest.mark.parametrize("dj", [0.25, 1 / 12])
@pytest.mark.parametrize("n", [16, 100, 1000])
def test_the_size_of_an_answer_is_known_before_it_is_computed(n: int, dj: float) -> None:
    x = np.random.default_rng(0).standard_normal(n)
    for request in (
        CwtRequest(data=x, dt=0.3, dj=dj),
        CwtRequest(data=x, dt=0.3, dj=dj, mother="paul"),
        CwtRequest(data=x, dt=0.3, dj=dj, s0=1.0),
        CwtRequest(data=x, dt=0.3, dj=dj, J=3),
    ):
        assert output_cells(request) == answer_cwt(request).wave.size


@pytest.mark.parametrize("mother", ["paul", "dog"])
def test_every_transform_uses_requested_wavelet(mother: Wavelet) -> None:
    order = 6
    wavelet = pycwt_mod.wavelet_from_name(mother, order)
    pair = {"signal1": X, "signal2": Y, "dt": DT, "mother": mother, "param": order}
    crossed = answer_xwt(XwtRequest.model_validate(pair))
    expected = pycwt_mod.xwt(X, Y, DT, 0.25, wavelet=wavelet)
    np.testing.assert_array_equal(crossed.xwt, expected.cross)
    if mother == "dog":
        found = answer_wct(WctRequest.model_validate({**pair, "significance_level": None}))
        coherence = pycwt_mod.wct(X, Y, DT, 0.25, sig=False, wavelet=wavelet).coherence
        np.testing.assert_array_equal(found.WCT, coherence)


@pytest.mark.parametrize("convention", ["standard", "pycwt"])
def test_significance_is_the_librarys(convention: Convention) -> None:
    request = SignificanceRequest(
        al1=0.4, al2=0.6, dt=DT, dj=0.25, s0=2 * DT, J=9, mc_count=20, seed=5,
        significance_level=0.9, convention=convention, mother="dog", param=6,
    )  # fmt: skip
    expected = pycwt_mod.wct_significance(
        0.4, 0.6, DT, 0.25, 2 * DT, 9, 0.9, pycwt_mod.DOG(6), 20, seed=5, convention=convention
    )
    reply = answer_significance(request)
    np.testing.assert_array_equal(reply.signif, expected)
    assert (reply.backend_used, reply.seed) == ("sequential", 5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_reply_has_requested_precision(dtype: Precision) -> None:
    pair = {"signal1": X, "signal2": Y, "dt": DT, "dtype": dtype}
    coherence = answer_wct(WctRequest.model_validate({**pair, "mc_count": 2}))
    crossed = answer_xwt(XwtRequest.model_validate(pair))
    level = answer_significance(
        SignificanceRequest(al1=0, al2=0, dt=1, dj=0.25, s0=2, J=4, mc_count=2, dtype=dtype)
    )
    found = [coherence.WCT, coherence.aWCT, coherence.signif, crossed.xwt.real, crossed.phase]
    found += [crossed.signif, level.signif]
    assert {str(each.dtype) for each in found if each is not None} == {dtype}


@pytest.mark.parametrize(("method", "backend"), [("table", None), ("montecarlo", "sequential")])
def test_a_level_from_the_table_was_simulated_nowhere(
    method: LevelMethod, backend: str | None
) -> None:
    request = WctRequest(signal1=X, signal2=Y, dt=DT, method=method, mc_count=5)
    reply = answer_wct(request)
    assert reply.backend_used == backend
    assert (reply.seed is None) == (backend is None)
    assert reply.signif is not None
    assert 0.5 < np.nanmedian(reply.signif) < 1


def test_values_that_rest_on_missing_samples_are_missing_in_every_transform() -> None:
    gappy = X.copy()
    gappy[100] = np.nan
    mask = pycwt_mod.cwt(gappy, DT, 0.25).mask
    assert 0 < mask.mean() < 1
    np.testing.assert_array_equal(np.isnan(answer_cwt(CwtRequest(data=gappy, dt=DT)).wave), mask)
    pair = {"signal1": gappy, "signal2": Y, "dt": DT}
    np.testing.assert_array_equal(np.isnan(answer_xwt(XwtRequest(**pair)).xwt), mask)
    reply = answer_wct(WctRequest(**pair, significance_level=None))
    np.testing.assert_array_equal(np.isnan(reply.WCT), np.isnan(reply.aWCT))
    smoothed = pycwt_mod.wct(gappy, Y, DT, 0.25, sig=False).mask
    np.testing.assert_array_equal(np.isnan(reply.WCT), smoothed)


def test_threshold_of_cross_spectrum_has_requested_level() -> None:
    pair = {"signal1": X, "signal2": Y, "dt": DT}
    expected = pycwt_mod.xwt(X, Y, DT, 0.25, significance_level=0.8).signif
    found = answer_xwt(XwtRequest.model_validate({**pair, "significance_level": 0.8})).signif
    assert found is not None
    np.testing.assert_array_equal(found, expected)


def test_what_the_table_does_not_cover_is_refused_as_the_methods() -> None:
    request = SignificanceRequest(al1=0, al2=0, dt=1, dj=0.25, s0=2, J=4, method="table")
    with pytest.raises(Unprocessable, match="table") as caught:
        answer_significance(request)
    assert caught.value.fields == ("method",)


@pytest.mark.parametrize(
    ("mother", "param", "known"),
    [("morlet", 5.3, "6 with morlet"), ("paul", 3, "4 with paul"), ("dog", 3, "2 or 6 with dog")],
)
@pytest.mark.parametrize("method", ["montecarlo", "table"])
def test_a_wavelet_without_published_factors_is_refused_as_the_param(
    mother: str, param: float, known: str, method: str
) -> None:
    """The field was ``request``, and the advice was for a script: to assign the factor."""
    fields = {"signal1": X, "signal2": Y, "dt": DT, "mother": mother, "param": param}
    request = WctRequest.model_validate({**fields, "method": method, "mc_count": 5})
    with pytest.raises(Unprocessable, match=known) as caught:
        answer_wct(request)
    assert caught.value.fields == ("param",)
    assert "given_deltaj0" not in str(caught.value)
    for order in map(int, re.findall(r"\d", known)):
        answer_wct(request.model_copy(update={"param": order, "significance_level": None}))


@pytest.mark.filterwarnings("error")
def test_values_beyond_the_range_of_the_numbers_are_refused_as_the_signals() -> None:
    with pytest.raises(Unprocessable, match="range") as caught:
        answer_cwt(CwtRequest(data=np.sign(X) * 1.7e308, dt=DT))
    assert caught.value.fields == ("data",)


def test_errors_name_the_signals_as_the_request_does() -> None:
    request = WctRequest(signal1=X, signal2=np.ones_like(X), dt=DT, mc_count=5)
    with pytest.raises(Unprocessable, match="signal2 is constant") as caught:
        answer_wct(request)
    assert "y2" not in str(caught.value)
