"""Settings: frozen, read once from the environment, all faults reported together."""

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
#: Thirty of the largest requests, or as many of 10,000 samples as may wait anyway.
REQUESTS_MAX_BYTES = 256 * 1024 * 1024
#: Inboxes of clients, and what the server puts in place of them for clients of other accounts.
REPLY_PREFIXES = "_INBOX,_R_"

#: A subject without wildcards, in a list separated by commas.
_SUBJECT = r"[^\s.*>,]+(\.[^\s.*>,]+)*"

Bytes = Annotated[int, Field(ge=1024 * 1024)]
AgeSeconds = Annotated[float, Field(ge=0)]


class StorageSettings(BaseSettings):
    """Limits of what JetStream keeps; 0 seconds means no limit of age."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    signals_max_bytes: Bytes = Field(4 * GIB, description="size of the signal log, bytes")
    signals_max_age_s: AgeSeconds = Field(86_400, description="age of the signal log, seconds")
    windows_max_bytes: Bytes = Field(2 * GIB, description="size of the window queue, bytes")
    results_max_bytes: Bytes = Field(4 * GIB, description="size of the result log, bytes")
    results_max_age_s: AgeSeconds = Field(604_800, description="age of the result log, seconds")
    tasks_max_bytes: Bytes = Field(1 * GIB, description="size of the queue of tasks, bytes")
    job_results_max_bytes: Bytes = Field(
        2 * GIB, description="size of the log of job results, bytes"
    )
    jobs_max_age_s: AgeSeconds = Field(
        604_800, description="age of jobs and of the log of their results, seconds"
    )
    objects_max_bytes: Bytes = Field(
        2 * GIB, description="size of jobs' tasks and large results, bytes"
    )
    objects_max_age_s: AgeSeconds = Field(
        604_800, description="age of jobs' tasks and large results, seconds"
    )
    replies_max_bytes: Bytes = Field(1 * GIB, description="size of large query replies, bytes")
    replies_max_age_s: AgeSeconds = Field(600, description="age of large query replies, seconds")
    answers_max_bytes: Bytes = Field(GIB // 2, description="size of kept query answers, bytes")
    answers_max_age_s: AgeSeconds = Field(86_400, description="age of kept query answers, seconds")
    replicas: Annotated[int, Field(ge=1, le=5)] = Field(
        1, description="servers of a cluster that keep each stream and bucket, when it is made"
    )


def _variables_that_are_set(value: object) -> object:
    """Leave out empty variables, and those of others, such as Kubernetes' ``CWT_NATS_PORT``."""
    if not isinstance(value, Mapping):
        return value
    known = {each.name for each in fields(ConnectSettings)}
    return {name: text for name, text in value.items() if name in known and text != ""}


#: ``CWT_NATS_PASSWORD_FILE`` is `nats.password_file`.
CONNECTION = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="_", env_nested_max_split=1)
Connection = Annotated[
    ConnectSettings,
    NoDecode,
    BeforeValidator(_variables_that_are_set),
    Field(description="how to connect to NATS"),
]


class ServiceSettings(StorageSettings):
    """What every service reads from the environment."""

    model_config = CONNECTION

    nats: Connection = ConnectSettings()
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe log record written"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, else JSON lines"
    )
    drain_s: Annotated[float, Field(gt=0)] = Field(
        25.0, description="time for work in flight after SIGTERM, seconds"
    )
    requests_max_bytes: Annotated[int, Field(ge=MAX_PAYLOAD_BYTES)] = Field(
        REQUESTS_MAX_BYTES, description="requests that are held at once, bytes; more is refused"
    )
    reply_prefixes: Annotated[str, Field(pattern=rf"^{_SUBJECT}(,{_SUBJECT})*$")] = Field(
        REPLY_PREFIXES,
        description="what the reply subject of a request begins with, separated by commas; a "
        "request with another one is ignored",
    )
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        None,
        description="Prometheus metrics, /livez and /readyz on this port (0: any free one); "
        "unset: none",
    )
    metrics_host: str = Field("127.0.0.1", description="address the metrics listen on")


def subject_prefixes(setting: str) -> tuple[str, ...]:
    """Return what subjects under the given ones begin with.

    Examples
    --------
    >>> subject_prefixes("_INBOX,_R_")
    ('_INBOX.', '_R_.')
    """
    return tuple(f"{each}." for each in setting.split(","))


class SettingsError(Exception):
    """The environment holds settings that cannot be used; the message lists every fault."""


S = TypeVar("S", bound=BaseSettings)


def load_settings(kind: type[S]) -> S:
    """Read `kind` from the environment.

    Raises
    ------
    SettingsError
        One line for every setting at fault, each naming its variable. It goes to a log, so it
        shows no user or password of a URL, and nothing of what was given as credentials.
    """
    try:
        return kind()
    except ValidationError as error:
        faults = [_told(fault) for fault in error.errors(include_url=False)]
        raise SettingsError("\n".join(faults)) from None


class _ConnectionAlone(BaseSettings):
    model_config = CONNECTION

    nats: Connection = ConnectSettings()


def connect_settings() -> ConnectSettings:
    """Return how to connect as the environment says, for a program without other settings.

    Raises
    ------
    SettingsError
        The variables ``CWT_NATS_*`` cannot be used.
    """
    return load_settings(_ConnectionAlone).nats


def _told(fault: Mapping[str, Any]) -> str:
    name = "_".join(str(part) for part in fault["loc"])
    if name == "nats_url":
        said = "has to be the address of a server, such as nats://127.0.0.1:4222"
        return f"{PREFIX}{name.upper()}: {said} (got {without_credentials(fault['input'])!r})"
    if name == "nats" and fault["type"] == "value_error":  # the message names the fields
        said = str(fault["ctx"]["error"])
        return re.sub(r"`(\w+)`", lambda field: f"{PREFIX}NATS_{field[1].upper()}", said)
    line = f"{PREFIX}{name.upper()}: {fault['msg']}"
    if name == "" or name.startswith("nats"):  # all settings at once, or perhaps a secret
        return line
    return f"{line} (got {fault['input']!r})"
