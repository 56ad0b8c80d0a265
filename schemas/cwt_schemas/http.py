"""Replies over HTTP: their encodings, and the models that differ from those on the bus.

JSON is for users and scripts, archives are for NumPy. Both are made from
`cwt_schemas.codec.decode_tree`, without a model, so that unknown fields are passed on.

==========================  =====================================================
JSON                        NumPy archive
==========================  =====================================================
array: nested lists         array: an entry of that name
complex: [re, im]           complex: complex
NaN: null                   NaN: NaN
object: object              object: one entry per field, ``name.field``
list: list                  list: one entry per item, ``name.0``
null: null                  null: no entry
==========================  =====================================================
"""

from __future__ import annotations

import io
import zipfile
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
import orjson
from pydantic import Field, Strict

from cwt_schemas.access import Role
from cwt_schemas.arrays import SampleMatrix
from cwt_schemas.hardware import DeviceReport, HardwareReply, Label
from cwt_schemas.live import StreamEvent
from cwt_schemas.marker import Marker, MarkerSample, MarkerTime
from cwt_schemas.message import (
    Count,
    Epoch,
    Items,
    Message,
    Name,
    PositiveCount,
    PositiveReal,
    Text,
)
from cwt_schemas.pair_result import LiveResult
from cwt_schemas.query import BackendName, BenchmarkReply, Seconds
from cwt_schemas.stream import StreamDefinition

__all__ = [
    "BenchmarkReport",
    "ChunkPage",
    "ChunkStored",
    "DeviceStatus",
    "EventPage",
    "GpuStatus",
    "HardwareReport",
    "HealthReport",
    "MarkerNote",
    "MarkerPage",
    "RecordingAccepted",
    "ResultPage",
    "Root",
    "SampleBlock",
    "Session",
    "Timing",
    "to_json",
    "to_npz",
]


def to_json(tree: Mapping[str, Any]) -> bytes:
    """Return the tree in JSON; the innermost lists of a complex array are pairs [re, im]."""
    return orjson.dumps(
        tree, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    )


def to_npz(tree: Mapping[str, Any]) -> bytes:
    """Return the tree as an uncompressed NumPy archive."""
    archive = io.BytesIO()
    # Not `np.savez`: a field could not have the names of its arguments.
    with zipfile.ZipFile(archive, "w") as entries:
        for name, value in _entries(tree):
            with entries.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, value, allow_pickle=False)
    return archive.getvalue()


def _plain(value: object) -> object:
    """Return a form that orjson can write."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "c":
        parts = value.real.dtype
        return np.ascontiguousarray(value).view(parts).reshape(*value.shape, 2)
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError(f"cannot encode {type(value).__name__} in JSON")


def _entries(value: object, name: str = "") -> Iterator[tuple[str, np.ndarray]]:
    match value:
        case None:
            return
        case Mapping():
            for key, item in value.items():
                yield from _entries(item, f"{name}.{key}" if name else str(key))
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _entries(item, f"{name}.{index}")
        case _:
            yield name, np.asarray(value)


class Session(Message):
    """A session: what a browser, or a WebSocket that cannot send headers, has in place of a key."""

    #: A JWT, for `Authorization: Bearer` or the parameter `session` of a WebSocket.
    token: str
    #: When it expires, nanoseconds UTC.
    expires_ns: Count
    #: The key.
    name: Name
    role: Annotated[Role, Strict(False)]
    #: The user of NATS whose permissions it has.
    user: Name


class Root(Message):
    """Reply to ``GET /``."""

    name: str = "PyCWT-mod REST API"
    version: Label
    docs: str = "/docs"
    health: str = "/health"
    page: str = "/live"


class ChunkStored(Message):
    """Reply to ``POST /api/v1/streams/{name}/chunks``."""

    #: Sequence number of the chunk in the signal log.
    seq: PositiveCount
    #: Whether the same chunk was already stored; it is not stored again.
    duplicate: bool


class RecordingAccepted(Message):
    """Reply to ``POST /api/v1/streams/{name}/recording``."""

    stream: Name
    #: Derived from the file and the definition: a repeated upload has the same epoch.
    epoch: Epoch
    n_samples: PositiveCount
    fs_hz: PositiveReal
    definition: StreamDefinition
    #: Problems of the file that do not prevent its publishing, such as a missing end.
    warnings: Items[Text] = ()


class HealthReport(Message):
    """Reply to ``GET /health``."""

    status: Literal["healthy", "unhealthy"]
    #: Version of the HTTP API.
    api_version: Label
    #: Version of the software.
    version: Label
    #: Number of windows that are waiting for a worker; None if unknown.
    lag: int | None = None
    #: Problems, one sentence each.
    problems: Items[Text] = ()


class DeviceStatus(DeviceReport):
    """A device: its status, or the reason why it is not available."""

    status: Text | None = None
    error: Text | None = None

    @classmethod
    def of(cls, report: DeviceReport, **more: Any) -> Self:  # noqa: ANN401 - fields of a subclass
        """Return the HTTP form of a report on the bus."""
        status, error = report.detail or "available", report.detail or "not found"
        outcome = {"status": status} if report.available else {"error": error}
        return cls.model_validate({**report.model_dump(), **outcome, **more})


class GpuStatus(DeviceStatus):
    """The graphics processor."""

    type: Label = "None"


class CpuStatus(Message):
    """The processor of the worker that replied."""

    available: bool
    cores: Annotated[int, Field(ge=1)]
    status: Text = "available"
    detail: Text = ""


class HardwareReport(Message):
    """Reply to ``GET /api/v1/hardware/detect``."""

    fpga: DeviceStatus
    embedded: DeviceStatus
    gpu: GpuStatus
    cpu: CpuStatus

    @classmethod
    def of(cls, reply: HardwareReply) -> HardwareReport:
        """Return the HTTP form of a reply on the bus."""
        gpu_type = reply.gpu.device or "None" if reply.gpu.available else "None"
        return cls(
            fpga=DeviceStatus.of(reply.fpga),
            embedded=DeviceStatus.of(reply.embedded),
            gpu=GpuStatus.of(reply.gpu, type=gpu_type),
            cpu=CpuStatus(**reply.cpu.model_dump()),
        )


class Timing(Message):
    """Benchmark of one backend."""

    status: Literal["completed", "failed"]
    computation_time: Seconds | None = None
    #: Speed relative to ``sequential``.
    speedup: Annotated[float, Field(gt=0)] | None = None
    #: Largest difference of its threshold from that of ``sequential``.
    max_difference: Annotated[float, Field(ge=0)] | None = None
    error: Text | None = None


class BenchmarkReport(Message):
    """Reply to ``POST /api/v1/benchmark``."""

    signal_length: int
    mc_count: int
    results: dict[BackendName, Timing]

    @classmethod
    def of(cls, reply: BenchmarkReply) -> BenchmarkReport:
        """Return the HTTP form of a reply on the bus."""
        return cls(
            signal_length=reply.signal_length,
            mc_count=reply.mc_count,
            results={
                name: Timing(
                    status="completed" if timing.status == "ok" else "failed",
                    **timing.model_dump(exclude={"status"}),
                )
                for name, timing in reply.results.items()
            },
        )


class StoredResult(Message):
    """A result and its sequence number in the log."""

    seq: PositiveCount
    result: LiveResult


class ResultPage(Message):
    """Reply to ``GET /api/v1/streams/{name}/results``."""

    items: Items[StoredResult]
    #: `from` of the next page; None on the last page.
    next: PositiveCount | None


class StoredEvent(Message):
    """An event and its sequence number in the log."""

    seq: PositiveCount
    event: StreamEvent


class EventPage(Message):
    """Reply to ``GET /api/v1/streams/{name}/events``."""

    items: Items[StoredEvent]
    #: `from` of the next page; None on the last page.
    next: PositiveCount | None


class MarkerNote(Message):
    """Body of ``POST /api/v1/streams/{name}/markers``.

    Without `first_sample` and `t_ns`, the marker is at the next sample that ingest expects.
    """

    #: Run of the device; None: the current run or, with `t_ns`, the run at that time.
    epoch: Epoch | None = None
    #: Index of the sample in the epoch.
    first_sample: MarkerSample | None = None
    #: Or the time, by the clock of the device's time stamps.
    t_ns: MarkerTime | None = None
    #: Length of a stretch, in samples or in seconds; neither for a moment.
    n_samples: Count | None = None
    duration_s: Seconds | None = None
    #: The channel that the marker concerns; None: all channels.
    channel: Name | None = None
    text: Text


class StoredMarker(Message):
    """A marker and its sequence number in the log."""

    seq: PositiveCount
    marker: Marker


class MarkerPage(Message):
    """Reply to ``GET /api/v1/streams/{name}/markers``."""

    items: Items[StoredMarker]
    #: `from` of the next page; None on the last page.
    next: PositiveCount | None


class SampleBlock(Message):
    """Consecutive samples of some channels."""

    epoch: Epoch
    #: Index of the first sample in the epoch; None if the device does not count.
    first_sample: Count | None = None
    #: Time of the first sample.
    t0_ns: Count | None = None
    channels: Items[Name]
    #: (time, channel); NaN is a missing sample.
    samples: SampleMatrix


class StoredChunk(Message):
    """Samples and their sequence number in the signal log."""

    seq: PositiveCount
    chunk: SampleBlock


class ChunkPage(Message):
    """Reply to ``GET /api/v1/streams/{name}/samples``."""

    items: Items[StoredChunk]
    #: `from` of the next page; None on the last page.
    next: PositiveCount | None
