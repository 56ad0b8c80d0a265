"""Settings: frozen, read once from the environment, all faults reported together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cwt_runtime.urls import without_credentials
from cwt_schemas.limits import MAX_PAYLOAD_BYTES

__all__ = [
    "REQUESTS_MAX_BYTES",
    "ServiceSettings",
    "SettingsError",
    "StorageSettings",
    "load_settings",
]

PREFIX = "CWT_"
GIB = 1024**3
#: Thirty of the largest requests, or as many of 10,000 samples as may wait anyway.
REQUESTS_MAX_BYTES = 256 * 1024 * 1024

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


class ServiceSettings(StorageSettings):
    """What every service reads from the environment."""

    nats_url: str = Field(
        "nats://127.0.0.1:4222",
        pattern=r"^(nats|tls|ws|wss)://\S+$",
        description="server, or several separated by commas",
    )
    nats_creds: str | None = Field(None, description="path of a NATS credentials file")
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
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        None, description="Prometheus metrics on this port (0: any free one); unset: none"
    )
    metrics_host: str = Field("127.0.0.1", description="address the metrics listen on")


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


def _told(fault: Mapping[str, Any]) -> str:
    name = "_".join(str(part) for part in fault["loc"])
    if name == "nats_url":
        said = "has to be the address of a server, such as nats://127.0.0.1:4222"
        return f"{PREFIX}{name.upper()}: {said} (got {without_credentials(fault['input'])!r})"
    line = f"{PREFIX}{name.upper()}: {fault['msg']}"
    if name in {"", "nats_creds"}:  # all settings at once, or a secret
        return line
    return f"{line} (got {fault['input']!r})"
