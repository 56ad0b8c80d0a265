"""What is the same question, and what is another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cwt_compute.queries.simulation import content_seed
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.message import content_digest
from cwt_schemas.query import WctRequest

X, Y = np.random.default_rng(1).standard_normal((2, 50))
BASE = WctRequest(signal1=X, signal2=Y, dt=0.5)


@pytest.mark.parametrize("content_type", [ContentType.JSON, ContentType.MSGPACK])
def test_query_is_equal_in_both_encodings(content_type: ContentType) -> None:
    back = decode(WctRequest, encode(BASE, content_type), content_type)
    assert content_digest(back) == content_digest(BASE)


@pytest.mark.parametrize(
    "changes",
    [
        {"signal1": Y},
        {"signal1": np.where(np.arange(50) == 3, np.nan, X)},
        {"signal2": np.nextafter(Y, np.inf)},
        {"signal1": Y, "signal2": X},
        {"dt": 0.25},
        {"mc_count": 301},
        {"convention": "pycwt"},
        {"dtype": "float32"},
        {"significance_level": 0.9},
    ],
)
def test_whatever_changes_the_answer_changes_the_seed_and_the_digest(
    changes: dict[str, Any],
) -> None:
    other = BASE.model_copy(update=changes)
    assert content_seed(other) != content_seed(BASE)
    assert content_digest(other) != content_digest(BASE)


@pytest.mark.parametrize("changes", [{"seed": 4}, {"backend": "joblib"}, {"fallback": True}])
def test_where_it_is_simulated_does_not_change_the_seed(changes: dict[str, Any]) -> None:
    other = BASE.model_copy(update=changes)
    assert content_seed(other) == content_seed(BASE)
    assert content_digest(other) != content_digest(BASE)


def test_a_seed_survives_a_language_whose_numbers_are_all_float64() -> None:
    seeds = [content_seed(BASE.model_copy(update={"mc_count": n})) for n in range(1, 200)]
    assert all(int(float(seed)) == seed for seed in seeds)
    assert len(set(seeds)) == len(seeds)
