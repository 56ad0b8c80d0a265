"""The types of the JavaScript client are those of the OpenAPI document."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

ROOT = Path(__file__).parents[3]
SOURCE = (ROOT / "services/gateway/page/src/client.ts").read_text()
#: Names of the interfaces in `SOURCE` that differ from those of their schemas.
SCHEMAS = {"Analysis": "AnalysisSpec", "Job": "JobState", "Samples": "SampleBlock"}
#: Interfaces of messages; the others are of the client alone.
DESCRIBED = (
    "Analysis", "AnalysisResult", "Channel", "ClockStatus", "Engine", "InputSpan", "Job", "Marker",
    "PairBand", "PairsResult", "ResultTimes", "Samples", "SignificanceSpec", "StreamDefinition",
    "StreamEvent", "StreamLag", "StreamPurged", "StreamStatus", "TimeAxis",
)  # fmt: skip
#: The version of a message, which the client does not look at.
VERSION = "schema"

INTERFACE = re.compile(r"^export interface (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^  (\w+)(\?)?: (.*);$", re.MULTILINE)
ALIAS = re.compile(r"^export type (\w+) =\s*([^;{]*);", re.MULTILINE)


@cache
def schemas() -> dict[str, Any]:
    document = orjson.loads((ROOT / "docs/openapi.json").read_bytes())
    found: dict[str, Any] = document["components"]["schemas"]
    return found


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = schemas()[SCHEMAS.get(name, name)]["properties"]
    return {field: schema for field, schema in found.items() if field != VERSION}


def fields(name: str) -> dict[str, tuple[bool, str]]:
    """Return of each field of an interface whether it is optional, and its type."""
    body = dict(INTERFACE.findall(SOURCE))[name]
    return {field: (mark == "?", resolved(kind)) for field, mark, kind in FIELD.findall(body)}


def resolved(kind: str) -> str:
    """Return a type with the names of literals replaced by the literals."""
    aliases = dict(ALIAS.findall(SOURCE))
    return re.sub(r"\w+", lambda word: aliases.get(word[0], word[0]), kind)


def alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas that a value may fit, references followed."""
    if "$ref" in schema:
        return alternatives(schemas()[schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return [found for each in schema["anyOf"] for found in alternatives(each)]
    return [schema]


def literals(schema: dict[str, Any]) -> set[str]:
    return {value for each in alternatives(schema) for value in each.get("enum", ())}


@pytest.mark.parametrize("name", DESCRIBED)
def test_an_interface_of_the_client_has_the_fields_of_its_schema(name: str) -> None:
    assert fields(name).keys() == properties(name).keys()


@pytest.mark.parametrize("name", DESCRIBED)
def test_what_may_be_missing_or_null_is_so_in_the_client(name: str) -> None:
    required = schemas()[SCHEMAS.get(name, name)].get("required", ())
    for field, (optional, kind) in fields(name).items():
        assert not (optional and field in required), field
        nullable = any(each.get("type") == "null" for each in alternatives(properties(name)[field]))
        assert kind.endswith("| null") == nullable, field


@pytest.mark.parametrize("name", DESCRIBED)
def test_closed_choices_are_the_same_in_the_client(name: str) -> None:
    for field, (_, kind) in fields(name).items():
        assert set(re.findall(r'"([^"]+)"', kind)) == literals(properties(name)[field]), field


def test_the_kinds_of_events_are_among_the_choices_compared() -> None:
    assert {"gap", "dropped", "clock"} <= literals(properties("StreamEvent")["kind"])
    assert '"dropped"' in fields("StreamEvent")["kind"][1]
