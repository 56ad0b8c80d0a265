"""The wire contract as an AsyncAPI 3.0 document, generated from the models and subjects.

``python -m cwt_schemas.asyncapi`` prints it; ``docs/asyncapi.json`` is that output.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import orjson
from pydantic.json_schema import models_json_schema

from cwt_schemas import headers, subjects
from cwt_schemas.audit import AuditRecord
from cwt_schemas.codec import ContentType
from cwt_schemas.endpoints import ENDPOINTS, Endpoint
from cwt_schemas.errors import ErrorBody
from cwt_schemas.hardware import HwEvent
from cwt_schemas.job import JobOutcome, JobProgress, JobWork
from cwt_schemas.live import AnalysisResult, AnalysisWindow, SignalChunk, StreamEvent
from cwt_schemas.marker import Marker
from cwt_schemas.message import (
    NAME_PATTERN,
    DeadLetter,
    Message,
    PersistedMessage,
    StoredReply,
    schema_of,
)
from cwt_schemas.pair_result import PairsResult
from cwt_schemas.provisional import NewestSamples, ProvisionalEstimate

#: Version of the contract: the major number is that of the schemas.
CONTRACT_VERSION: Final = "1.0.0"

_SCHEMAS: Final = "#/components/schemas/"
_MESSAGES: Final = "#/components/messages/"


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Messages that are published without a request."""

    name: str
    models: tuple[type[Message], ...]
    address: Callable[..., str]
    parameters: tuple[str, ...]
    action: Literal["send", "receive"]
    summary: str


#: Services ``receive`` messages from outside and ``send`` their own.
FLOWS: Final = (
    Flow(
        name="signal",
        models=(SignalChunk,),
        address=subjects.signal,
        parameters=("stream",),
        action="receive",
        summary="Devices publish the samples of a stream.",
    ),
    Flow(
        name="window",
        models=(AnalysisWindow,),
        address=subjects.window,
        parameters=("stream", "analysis"),
        action="send",
        summary="Ingest publishes windows to the work queue of compute.",
    ),
    Flow(
        name="result",
        models=(AnalysisResult, PairsResult),
        address=subjects.result,
        parameters=("stream", "analysis"),
        action="send",
        summary="Compute publishes results.",
    ),
    Flow(
        name="newest",
        models=(NewestSamples,),
        address=subjects.newest,
        parameters=("stream", "analysis"),
        action="send",
        summary="Ingest publishes the newest samples of an analysis with provisional estimates.",
    ),
    Flow(
        name="now",
        models=(ProvisionalEstimate,),
        address=subjects.now,
        parameters=("stream", "analysis"),
        action="send",
        summary="Compute publishes provisional estimates, which are not stored.",
    ),
    Flow(
        name="event",
        models=(StreamEvent,),
        address=subjects.event,
        parameters=("stream",),
        action="send",
        summary="Services publish events of a stream, such as gaps and rejected chunks.",
    ),
    Flow(
        name="marker",
        models=(Marker,),
        address=subjects.marker,
        parameters=("stream",),
        action="receive",
        summary="Devices, stimulus computers and people publish annotations of a stream.",
    ),
    Flow(
        name="task",
        models=(JobWork,),
        address=subjects.task,
        parameters=("job",),
        action="send",
        summary="Compute publishes the tasks of jobs to its own work queue.",
    ),
    Flow(
        name="jobresult",
        models=(JobOutcome,),
        address=subjects.job_result,
        parameters=("job", "task"),
        action="send",
        summary="Compute publishes the outcomes of tasks.",
    ),
    Flow(
        name="progress",
        models=(JobProgress,),
        address=subjects.progress,
        parameters=("job",),
        action="send",
        summary="Compute publishes the progress of jobs.",
    ),
    Flow(
        name="hw_event",
        models=(HwEvent,),
        address=lambda: subjects.HW_EVENTS,
        parameters=(),
        action="send",
        summary="The hardware bridge publishes events of devices.",
    ),
    Flow(
        name="dead",
        models=(DeadLetter,),
        address=subjects.dead,
        parameters=("where",),
        action="send",
        summary="Services publish messages that they gave up, with the reason.",
    ),
    Flow(
        name="audit_stream",
        models=(AuditRecord,),
        address=partial(subjects.audit, "stream"),
        parameters=("stream",),
        action="send",
        summary="Ingest publishes which user changes a stream.",
    ),
    Flow(
        name="audit_job",
        models=(AuditRecord,),
        address=partial(subjects.audit, "job"),
        parameters=("job",),
        action="send",
        summary="Compute publishes which user changes a job.",
    ),
    Flow(
        name="audit_key",
        models=(AuditRecord,),
        address=partial(subjects.audit, "key"),
        parameters=("key",),
        action="send",
        summary="Operators publish that they add or revoke a key of HTTP clients.",
    ),
)


def document() -> dict[str, Any]:
    """Return the document as a tree for JSON."""
    endpoints = list(ENDPOINTS.values())
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "pycwt-mod on the bus",
            "version": CONTRACT_VERSION,
            "description": (
                "Wavelet analysis of live and recorded signals over NATS. Bodies are JSON unless "
                f"the header {headers.CONTENT_TYPE} is {ContentType.MSGPACK.value}. A reply has "
                f"the encoding in the header {headers.ACCEPT}, or that of the request. Arrays are "
                "nested lists in JSON and packed bytes in msgpack; a missing value is null."
            ),
            "license": {"name": "BSD-3-Clause"},
        },
        "defaultContentType": ContentType.JSON.value,
        "channels": _channels(endpoints),
        "operations": _operations(endpoints),
        "components": {"messages": _messages(endpoints), "schemas": _schemas(endpoints)},
    }


def template(flow: Flow) -> str:
    """Return the address of a flow with its parameters in braces."""
    # The builder accepts only names, so the braces are inserted afterwards.
    address = flow.address(*(f"__{name}__" for name in flow.parameters))
    return re.sub(r"__([a-z]+)__", r"{\1}", address)


def _channels(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    channels: dict[str, Any] = {}
    for flow in FLOWS:
        names = [model.__name__ for model in flow.models]
        if SignalChunk in flow.models:
            names.append("RawSignalChunk")
        channels[flow.name] = {
            "address": template(flow),
            "messages": _message_refs(names),
            "parameters": _parameters(flow.parameters),
        }
    for endpoint in endpoints:
        key = _key(endpoint)
        channels[key] = {
            "address": endpoint.subject,
            "messages": _message_refs([endpoint.request.__name__]),
        }
        names = re.findall(r"\{(\w+)\}", endpoint.subject)
        if names:
            channels[key]["parameters"] = _parameters(names)
        replies = [endpoint.reply.__name__, StoredReply.__name__, ErrorBody.__name__]
        # The client chooses its inbox, so there is no address to document.
        channels[f"{key}.reply"] = {"address": None, "messages": _message_refs(replies)}
    return channels


def _parameters(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"description": f"Name: {NAME_PATTERN}"} for name in names}


def _operations(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    operations: dict[str, Any] = {
        f"{flow.action}.{flow.name}": {
            "action": flow.action,
            "channel": {"$ref": f"#/channels/{flow.name}"},
            "summary": flow.summary,
        }
        for flow in FLOWS
    }
    for endpoint in endpoints:
        key = _key(endpoint)
        operations[f"answer.{key}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{key}"},
            "summary": _first_line(endpoint.request),
            "reply": {
                "address": {
                    "location": "$message.header#/reply-to",
                    "description": "The reply subject of the NATS request.",
                },
                "channel": {"$ref": f"#/channels/{key}.reply"},
            },
        }
    return operations


def _messages(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    messages = {model.__name__: _message(model) for model in _models(endpoints)}
    messages["RawSignalChunk"] = _raw_chunk()
    return dict(sorted(messages.items()))


def _message(model: type[Message]) -> dict[str, Any]:
    types = [ContentType.JSON.value, ContentType.MSGPACK.value]
    message: dict[str, Any] = {
        "name": schema_of(model) if issubclass(model, PersistedMessage) else model.__name__,
        "title": model.__name__,
        "summary": _first_line(model),
        "contentType": ContentType.JSON.value,
        "headers": {
            "type": "object",
            "properties": {
                headers.CONTENT_TYPE: {"type": "string", "enum": types},
                headers.ACCEPT: {"type": "string", "enum": types},
            },
        },
        "payload": {"$ref": _SCHEMAS + model.__name__},
    }
    if model is ErrorBody:
        message["headers"]["properties"] |= {
            headers.SERVICE_ERROR: {"type": "string"},
            headers.SERVICE_ERROR_CODE: {"type": "string", "pattern": "^[45][0-9]{2}$"},
        }
    return message


def _raw_chunk() -> dict[str, Any]:
    return {
        "name": schema_of(SignalChunk),
        "title": "RawSignalChunk",
        "summary": "A signal chunk whose body consists of interleaved samples.",
        "contentType": ContentType.OCTETS.value,
        "headers": {
            "type": "object",
            "properties": {
                headers.CONTENT_TYPE: {"const": ContentType.OCTETS.value},
                **headers.CHUNK,
            },
            "required": [headers.CONTENT_TYPE, headers.DTYPE, headers.EPOCH],
        },
        "payload": {"type": "string", "format": "binary"},
    }


def _schemas(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    wanted = [(model, "validation") for model in _models(endpoints)]
    _, described = models_json_schema(
        wanted,  # type: ignore[arg-type]  # a list of pairs, of which mypy widens the literal
        ref_template=_SCHEMAS + "{model}",
    )
    return dict(sorted(described["$defs"].items()))


def _models(endpoints: Iterable[Endpoint]) -> list[type[Message]]:
    models: set[type[Message]] = {ErrorBody, StoredReply}
    models.update(model for flow in FLOWS for model in flow.models)
    for endpoint in endpoints:
        models.update((endpoint.request, endpoint.reply))
    return sorted(models, key=lambda model: model.__name__)


def _message_refs(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": _MESSAGES + name} for name in names}


def _key(endpoint: Endpoint) -> str:
    return endpoint.schema_id.rpartition("/")[0]


def _first_line(model: type[Message]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(document(), option=orjson.OPT_INDENT_2) + b"\n")
