"""The committed document is the one that the models and subjects make, and it hangs together."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from cwt_schemas import asyncapi, subjects
from cwt_schemas.endpoints import ENDPOINTS

COMMITTED = Path(__file__).parents[3] / "docs" / "asyncapi.json"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return asyncapi.document()


def references(tree: object) -> Iterator[str]:
    if isinstance(tree, dict):
        if isinstance(tree.get("$ref"), str):
            yield tree["$ref"]
        for item in tree.values():
            yield from references(item)
    elif isinstance(tree, list):
        for item in tree:
            yield from references(item)


def test_the_committed_document_is_up_to_date(made: dict[str, Any]) -> None:
    assert orjson.loads(COMMITTED.read_bytes()) == made, "run: make docs"


def test_every_reference_leads_somewhere(made: dict[str, Any]) -> None:
    found = set(references(made))

    assert len(found) > 50
    for reference in found:
        place: Any = made
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_address_is_a_subject_that_a_builder_makes(made: dict[str, Any]) -> None:
    flows = {flow.name: flow for flow in asyncapi.FLOWS}
    for key, channel in made["channels"].items():
        if key.endswith(".reply"):
            assert channel["address"] is None
        elif key in flows:
            flow = flows[key]
            parameters = re.findall(r"\{(\w+)\}", channel["address"])
            assert set(parameters) == set(channel["parameters"])
            assert channel["address"].format_map(
                {name: f"some-{name}" for name in parameters}
            ) == flow.address(*(f"some-{name}" for name in flow.parameters))
        else:
            assert channel["address"] in ENDPOINTS


def test_every_endpoint_has_an_operation_with_a_reply(made: dict[str, Any]) -> None:
    for subject in ENDPOINTS:
        key = subject.removeprefix("cwt.").replace("{", "").replace("}", "")
        operation = made["operations"][f"answer.{key}"]
        assert operation["action"] == "receive"
        assert "reply" in operation


def test_persisted_messages_have_to_carry_their_schema(made: dict[str, Any]) -> None:
    required = {
        name
        for name, each in made["components"]["schemas"].items()
        if "schema" in each.get("required", [])
    }

    assert required == {
        "SignalChunk",
        "AnalysisWindow",
        "JobOutcome",
        "JobProgress",
        "JobWork",
        "AnalysisResult",
        "PairsResult",
        "NewestSamples",
        "ProvisionalEstimate",
        "StreamEvent",
        "Marker",
        "HwEvent",
        "DeadLetter",
        "AuditRecord",
    }


def test_the_metadata_of_an_endpoint_names_its_schema() -> None:
    assert ENDPOINTS[subjects.query("cwt")].schema_id == "query.cwt/1"
