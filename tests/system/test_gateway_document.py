"""What schemathesis makes of the OpenAPI document is answered as the document says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgpack  # type: ignore[import-untyped]
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cwt_gateway.app import documented_app
from cwt_schemas.limits import MAX_MC_COUNT
from tests.system.conftest import running_system
from tests.system.gateway import REQUEST_S, RunningGateway, gateway_of
from tests.template import COVERAGE
from tests.thorough import THOROUGH

pytestmark = [pytest.mark.anyio, pytest.mark.system]

CASES = 10_000 if THOROUGH else 300
#: Tests among which the operations are divided, so that workers share the time that many take.
PARTS = 6 if THOROUGH else 1
#: What would compute for longer is refused with status 429.
SETTINGS = {"CWT_QUERY_BACKLOG_S": "1"}
#: Answers to what passes: no worker, or none in time.
PASSING = {503, 504}
#: Surrogate pairs of a simulation: more would only take longer.
MAX_PAIRS = 100
CHECKS = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
#: What paths name in half of the cases; names that are generated lead nowhere.
STREAM = {"channels": [{"name": "a"}], "fs_hz": 10.0}
JOB = {"tasks": [{"type": "cwt", "data": [1, 2, 3, 4], "dt": 1}]}


@schemathesis.serializer("application/msgpack")
def _msgpack(_context: object, value: object) -> bytes:
    return bytes(msgpack.packb(value, default=str))


@pytest.mark.no_cover
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(PARTS))
async def test_every_operation_answers_as_the_document_says(
    tmp_path: Path, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Thousands of requests cover no line that the other tests do not.
    monkeypatch.delenv(COVERAGE, raising=False)
    schema = schemathesis.openapi.from_dict(documented_app().openapi())
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    async with running_system(tmp_path, workers=1, environment=SETTINGS) as system:
        gateway = await gateway_of(system)
        known = await names(gateway)
        answers: dict[str, Counter[int]] = {}
        for operation in operations[part::PARTS]:
            answers[operation.label] = await anyio.to_thread.run_sync(
                conforming, operation, gateway.url, known, CASES // len(operations)
            )
        assert gateway.faults == []
    assert len(operations) == len(list(schema.get_all_operations()))
    # Operations without parameters have a single case.
    assert sum(counter.total() for counter in answers.values()) > CASES / PARTS / 2


async def names(gateway: RunningGateway) -> dict[str, str]:
    """Make what the paths of the document name, and return its names."""
    async with gateway.client() as client:
        stream = await client.put("/api/v1/streams/known", json=STREAM)
        job = await client.post("/api/v1/jobs", json=JOB)
        assert (stream.status_code, job.status_code) == (200, 202)
    return {"name": "known", "job_id": job.json()["job_id"], "task": "0"}


def conforming(operation: Any, url: str, known: dict[str, str], examples: int) -> Counter[int]:
    """Ask in many ways, right and wrong, and check each answer; return the statuses."""
    statuses: Counter[int] = Counter()
    cases = st.one_of(
        operation.as_strategy(), operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    )

    @given(case=cases, lead_somewhere=st.booleans())
    @settings(
        max_examples=examples,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    def conform(case: Any, lead_somewhere: bool) -> None:
        if lead_somewhere and operation.method != "delete":
            case.path_parameters = {name: known[name] for name in case.path_parameters or ()}
        shorten_simulations(case.body)
        response = case.call(base_url=url, timeout=REQUEST_S)
        statuses[response.status_code] += 1
        checks = CHECKS if response.status_code in PASSING else [*CHECKS, not_a_server_error]
        case.validate_response(response, checks=checks)

    conform()
    return statuses


def shorten_simulations(body: object) -> None:
    """Let simulations that are possible be short ones."""
    if isinstance(body, list):
        for each in body:
            shorten_simulations(each)
    elif isinstance(body, dict):
        for name, value in body.items():
            if name == "mc_count" and type(value) is int and MAX_PAIRS < value <= MAX_MC_COUNT:
                body[name] = MAX_PAIRS
            else:
                shorten_simulations(value)
