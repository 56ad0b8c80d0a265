"""Render docs/asyncapi.json as a page: a table of subjects, then the fields of every message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["asyncapi_page"]

Json = dict[str, Any]


def asyncapi_page(document: Json) -> str:
    """Return the page in Markdown."""
    return "\n".join([*_head(document), *_subjects(document), *_messages(document)]) + "\n"


def _head(document: Json) -> Iterator[str]:
    yield "# Every subject and field"
    yield ""
    yield document["info"]["description"]
    yield ""
    yield "This page is generated from [asyncapi.json](../asyncapi.json), an AsyncAPI 3 document."
    yield "[Messages](../messages.md) explains how the messages are used."
    yield ""


def _subjects(document: Json) -> Iterator[str]:
    yield "## Subjects"
    yield ""
    yield "| subject | | message | reply |"
    yield "|---|---|---|---|"
    for operation in document["operations"].values():
        channel = _resolve(document, operation["channel"])
        reply = operation.get("reply", {}).get("channel")
        replies = _links(_resolve(document, reply)["messages"]) if reply else ""
        messages = _links(channel["messages"])
        yield f"| `{channel['address']}` | {operation['summary']} | {messages} | {replies} |"
    yield ""


def _messages(document: Json) -> Iterator[str]:
    schemas = document["components"]["schemas"]
    messages = document["components"]["messages"]
    yield "## Messages"
    yield ""
    for name, message in sorted(messages.items()):
        if name in schemas:
            yield from _schema(name, schemas[name])
        else:  # binary: what it says is in its headers
            yield from _schema(name, {"description": message["summary"], **message["headers"]})
    yield "## Parts of messages"
    yield ""
    for name in sorted({*schemas} - {*messages}):
        yield from _schema(name, schemas[name])


def _schema(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield _text(schema.get("description", "")).replace("<br>", "\n\n")
    yield ""
    if "properties" not in schema:
        yield f"{_type(schema)}"
        yield ""
        return
    required = {*schema.get("required", ())}
    yield "| field | type | default | |"
    yield "|---|---|---|---|"
    for field, content in schema["properties"].items():
        default = "required" if field in required else f"`{content.get('default')}`"
        text = _text(content.get("description", ""))
        yield f"| `{field}` | {_type(content)} | {default} | {text} |"
    yield ""


def _type(schema: Json) -> str:
    """Describe the type of a value and its limits in a few words."""
    if "$ref" in schema:
        return _link(schema["$ref"])
    for union in ("oneOf", "anyOf"):
        if union in schema:
            return " or ".join(dict.fromkeys(map(_type, schema[union])))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        kind = " or ".join(kind)
    if kind == "array":
        inner = _type(schema["items"]) if "items" in schema else "any"
        kind = f"array of ({inner})" if " " in inner else f"array of {inner}"
    limits = [text.format(schema[key]) for key, text in LIMITS.items() if key in schema]
    return f"{kind} ({', '.join(limits)})" if limits else str(kind)


LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "pattern": "`{}`",
}


def _resolve(document: Json, reference: Json) -> Json:
    value = document
    for part in reference["$ref"].removeprefix("#/").split("/"):
        value = value[part.replace("~1", "/").replace("~0", "~")]
    return value


def _links(messages: Json) -> str:
    return ", ".join(_link(name) for name in messages)


def _link(reference: str) -> str:
    name = reference.rsplit("/", 1)[-1]
    return f"[{name}](#{name.lower()})"


def _text(text: str) -> str:
    return text.replace("``", "`").replace("\n\n", "<br>").replace("\n", " ")
