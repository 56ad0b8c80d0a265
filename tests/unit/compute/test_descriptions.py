"""The JSON Schema of an endpoint, asked for on the bus."""

from __future__ import annotations

import jsonschema
import numpy as np
import orjson
import pytest

from cwt_compute.queries.descriptions import answer_schema
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.endpoints import ENDPOINTS
from cwt_schemas.errors import NotFound
from cwt_schemas.query import WctRequest


@pytest.mark.parametrize("subject", ENDPOINTS)
def test_every_endpoint_is_described_by_its_subject_and_by_its_schema_id(subject: str) -> None:
    reply = answer_schema(subject)
    assert reply == answer_schema(reply.name)
    for schema in (reply.request, reply.reply, reply.error, reply.stored):
        jsonschema.Draft202012Validator.check_schema(schema)


def test_a_request_is_valid_by_its_schema_and_a_wrong_one_is_not() -> None:
    validator = jsonschema.Draft202012Validator(answer_schema("query.wct/1").request)
    request = orjson.loads(
        encode(WctRequest(signal1=np.ones(2), signal2=np.ones(2), dt=1.0), ContentType.JSON)
    )
    assert validator.is_valid(request)
    assert not validator.is_valid({**request, "dt": 0})
    assert not validator.is_valid({**request, "dx": 1})


def test_unknown_name_error_lists_known_names() -> None:
    with pytest.raises(NotFound, match="available"):
        answer_schema("query.abc/1")
