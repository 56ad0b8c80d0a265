"""Settings of the services: frozen, read once from the environment, errors reported together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.urls import without_credentials
from cwt_schemas.limits import MAX_PAYLOAD_BYTES

__all__ = [
    "REPLY_PREFIXES",
    "REQUESTS_MAX_BYTES",
    "ServiceSettings",
    "SettingsError",
    "StorageSettings",
    "connect_settings",
    "load_settings",
    "subject_prefixes",
]

PREFIX = "CWT_"
GIB = 1024**3
#: Room for thirty of the largest requests, or for all requests of 10,000 samples that may wait.
REQUESTS_MAX_BYTES = 256 * 1024 * 1024
#: Inboxes of clients, and the prefix that the server substitutes for clients of other accounts.
REPLY_PREFIXES = "_INBOX,_R_"

#: A subject without wildcards, as an element of a comma-separated list.
_SUBJECT = r"[^\s.*>,]+(\.[^\s.*>,]+)*"

Bytes = Annotated[int, Field(ge=1024 * 1024)]
AgeSeconds = Annotated[float, Field(ge=0)]


class StorageSettings(BaseSettings):
    """Limits of the streams and buckets; an age of 0 seconds means no limit."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    signals_max_bytes: Bytes = Field(4 * GIB, description="maximum size of the signal log, bytes")
    signals_max_age_s: AgeSeconds = Field(
        86_400, description="maximum age of messages in the signal log, seconds"
    )
    windows_max_bytes: Bytes = Field(2 * GIB, description="maximum size of the window queue, bytes")
    results_max_bytes: Bytes = Field(4 * GIB, description="maximum size of the result log, bytes")
    results_max_age_s: AgeSeconds = Field(
        604_800, description="maximum age of messages in the result log, seconds"
    )
    tasks_max_bytes: Bytes = Field(1 * GIB, description="maximum size of the task queue, bytes")
    job_results_max_bytes: Bytes = Field(
        2 * GIB, description="maximum size of the log of job results, bytes"
    )
    jobs_max_age_s: AgeSeconds = Field(
        604_800, description="maximum age of jobs and of their results, seconds"
    )
    objects_max_bytes: Bytes = Field(
        2 * GIB, description="maximum total size of the tasks and large results of jobs, bytes"
    )
    objects_max_age_s: AgeSeconds = Field(
        604_800, description="maximum age of the tasks and large results of jobs, seconds"
    )
    replies_max_bytes: Bytes = Field(
        1 * GIB, description="maximum total size of large query replies, bytes"
    )
    replies_max_age_s: AgeSeconds = Field(
        600, description="maximum age of large query replies, seconds"
    )
    answers_max_bytes: Bytes = Field(
        GIB // 2, description="maximum size of the cache of query replies, bytes"
    )
    answers_max_age_s: AgeSeconds = Field(
        86_400, description="maximum age of cached query replies, seconds"
    )
    replicas: Annotated[int, Field(ge=1, le=5)] = Field(
        1, description="number of replicas of each stream and bucket, applied when it is created"
    )


def _variables_that_are_set(value: object) -> object:
    """Drop empty and unrelated variables, such as ``CWT_NATS_PORT`` set by Kubernetes."""
    if not isinstance(value, Mapping):
        return value
    known = {each.name for each in fields(ConnectSettings)}
    return {name: text for name, text in value.items() if name in known and text != ""}


#: ``CWT_NATS_PASSWORD_FILE`` sets `nats.password_file`.
CONNECTION = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="_", env_nested_max_split=1)
Connection = Annotated[
    ConnectSettings,
    NoDecode,
    BeforeValidator(_variables_that_are_set),
    Field(description="how to connect to NATS"),
]


class ServiceSettings(StorageSettings):
    """The settings of every service, read from the environment."""

    model_config = CONNECTION

    nats: Connection = ConnectSettings()
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="minimum level of log records"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, else JSON lines"
    )
    drain_s: Annotated[float, Field(gt=0)] = Field(
        25.0, description="time to finish the work in progress after SIGTERM, seconds"
    )
    requests_max_bytes: Annotated[int, Field(ge=MAX_PAYLOAD_BYTES)] = Field(
        REQUESTS_MAX_BYTES,
        description="maximum total size of requests held in memory, bytes; more are refused",
    )
    reply_prefixes: Annotated[str, Field(pattern=rf"^{_SUBJECT}(,{_SUBJECT})*$")] = Field(
        REPLY_PREFIXES,
        description="prefixes that the reply subject of a request may have, separated by commas; a "
        "request with a different reply subject is ignored",
    )
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        None,
        description="port of Prometheus metrics, /livez and /readyz (0: any free one); unset: none",
    )
    metrics_host: str = Field("127.0.0.1", description="address that the metrics port listens on")
    traces: bool = Field(
        False,
        description="export traces with OpenTelemetry; needs the extra `otel` and OTEL_* variables",
    )


def subject_prefixes(setting: str) -> tuple[str, ...]:
    """Return the prefixes of all subjects below those in a comma-separated list.

    Examples
    --------
    >>> subject_prefixes("_INBOX,_R_")
    ('_INBOX.', '_R_.')
    """
    return tuple(f"{each}." for each in setting.split(","))


class SettingsError(Exception):
    """Settings in the environment are invalid; the message lists all errors."""


S = TypeVar("S", bound=BaseSettings)


def load_settings(kind: type[S]) -> S:
    """Read `kind` from the environment.

    Raises
    ------
    SettingsError
        A setting is invalid. The message has one line per setting, with the name of its variable.
        It omits the user and password of a URL and all credentials, so it can be logged.
    """
    try:
        return kind()
    except ValidationError as error:
        faults = [_fault_line(fault) for fault in error.errors(include_url=False)]
        raise SettingsError("\n".join(faults)) from None


class _ConnectionOnly(BaseSettings):
    model_config = CONNECTION

    nats: Connection = ConnectSettings()


def connect_settings() -> ConnectSettings:
    """Read the connection settings from the environment.

    Raises
    ------
    SettingsError
        A variable ``CWT_NATS_*`` is invalid.
    """
    return load_settings(_ConnectionOnly).nats


def _fault_line(fault: Mapping[str, Any]) -> str:
    name = "_".join(str(part) for part in fault["loc"])
    if name == "nats_url":
        problem = "must be the URL of a server, such as nats://127.0.0.1:4222"
        return f"{PREFIX}{name.upper()}: {problem} (got {without_credentials(fault['input'])!r})"
    if name == "nats" and fault["type"] == "value_error":  # the message names the fields
        problem = str(fault["ctx"]["error"])
        return re.sub(r"`(\w+)`", lambda field: f"{PREFIX}NATS_{field[1].upper()}", problem)
    line = f"{PREFIX}{name.upper()}: {fault['msg']}"
    if name == "" or name.startswith("nats"):  # all settings together, or possibly a secret
        return line
    return f"{line} (got {fault['input']!r})"
