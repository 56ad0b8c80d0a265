"""No field of a query is accepted and ignored: another value gives another answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cwt_compute.queries.transforms import (
    answer_cwt,
    answer_mwct,
    answer_pwct,
    answer_significance,
    answer_wct,
    answer_xwt,
)
from cwt_schemas.errors import Unavailable
from cwt_schemas.message import Message
from cwt_schemas.query import (
    CwtRequest,
    MwctRequest,
    PwctRequest,
    SignificanceRequest,
    WctRequest,
    XwtRequest,
)
from pycwt_mod import register_backend
from tests.backends import Away

X, Y, Z = np.random.default_rng(8).standard_normal((3, 300))
AXIS = {"dt": 0.5, "dj": 0.25, "s0": 2.0, "J": 12}
WAVELET = {"mother": "dog", "param": 2.0}
LEVEL = {"significance_level": 0.9, "mc_count": 6, "seed": 1}
#: Of all: another value for each field.
OTHER_AXIS = {"dt": 0.4, "dj": 0.2, "s0": 2.5, "J": 11}
OTHER_WAVELET = {"mother": "morlet", "param": 6.0, "convention": "pycwt", "dtype": "float32"}
OTHER_LEVEL = {
    "significance_level": 0.8, "mc_count": 7, "seed": 2, "method": "table", "backend": "joblib",
}  # fmt: skip
SIMULATED = {name: value for name, value in OTHER_LEVEL.items() if name != "method"}
W = np.random.default_rng(9).standard_normal((2, 300))
PAIR, OTHER_PAIR = {"signal1": X, "signal2": Y}, {"signal1": Z, "signal2": Z}
QUERIES: dict[type[Message], tuple[Callable[..., Message], dict[str, Any], dict[str, Any]]] = {
    CwtRequest: (
        answer_cwt,
        {"data": X, **AXIS, **WAVELET},
        {"data": Y, **OTHER_AXIS, **OTHER_WAVELET},
    ),
    XwtRequest: (
        answer_xwt,
        {**PAIR, **AXIS, **WAVELET},
        {**OTHER_PAIR, **OTHER_AXIS, **OTHER_WAVELET, "significance_level": 0.8},
    ),
    WctRequest: (
        answer_wct,
        {**PAIR, **AXIS, **WAVELET, **LEVEL},
        {**OTHER_PAIR, **OTHER_AXIS, **OTHER_WAVELET, **OTHER_LEVEL},
    ),
    PwctRequest: (
        answer_pwct,
        {**PAIR, "given": W, **AXIS, **WAVELET, **LEVEL},
        {**OTHER_PAIR, "given": W[:1], "deltaj0": 2.0, **OTHER_AXIS, **OTHER_WAVELET, **SIMULATED},
    ),
    MwctRequest: (
        answer_mwct,
        {"target": X, "given": W, **AXIS, **WAVELET, **LEVEL},
        {"target": Y, "given": W[:1], "deltaj0": 2.0, **OTHER_AXIS, **OTHER_WAVELET, **SIMULATED},
    ),
    SignificanceRequest: (
        answer_significance,
        {"al1": 0.3, "al2": 0.6, **AXIS, **WAVELET, **LEVEL},
        {"al1": 0.5, "al2": 0.7, "n": 50, **OTHER_AXIS, **OTHER_WAVELET, **OTHER_LEVEL},
    ),
}
#: What the other value needs to be possible at all.
WITH: dict[str, dict[str, Any]] = {"mother": {"param": -1.0}, "method": {"J": 24}}
CASES = [(kind, field) for kind, (_, _, others) in QUERIES.items() for field in others]


def told(reply: Message) -> dict[str, Any]:
    """Return what a reply says of the question, without how long it took."""
    return {
        name: value.tobytes() if isinstance(value, np.ndarray) else value
        for name, value in reply.model_dump(exclude={"computation_time"}).items()
    }


@pytest.mark.parametrize(("kind", "field"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_another_value_gives_another_answer(kind: type[Message], field: str) -> None:
    answer, fields, others = QUERIES[kind]
    fields = fields | WITH.get(field, {})
    changed = fields | {field: others[field]}
    assert told(answer(kind.model_validate(fields))) != told(answer(kind.model_validate(changed)))


@pytest.mark.parametrize("kind", QUERIES)
def test_every_field_is_among_those_changed(kind: type[Message]) -> None:
    known = QUERIES[kind][2].keys() | {"fallback", "method"}
    assert kind.model_fields.keys() <= known


@pytest.mark.parametrize("kind", [WctRequest, SignificanceRequest])
def test_a_fallback_is_taken_only_where_it_is_allowed(kind: type[Message]) -> None:
    answer, fields, _ = QUERIES[kind]
    fields = fields | {"backend": "away"}
    with register_backend(Away()):
        with pytest.raises(Unavailable, match="fallback: true"):
            answer(kind.model_validate(fields))
        allowed = kind.model_validate(fields | {"fallback": True})
        assert told(answer(allowed))["backend_used"] == "sequential"
