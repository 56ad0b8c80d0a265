"""What travels on the bus: messages, their encodings, and the names of places.

Nothing here knows a socket or an event loop. Subjects are in ``schemas.subjects``, names of what
is kept in ``schemas.storage``, header names in ``schemas.headers``, sizes in ``schemas.limits``,
array fields in ``schemas.arrays``.
"""

from schemas.benchmark import BackendTiming, BenchmarkReply, BenchmarkRequest
from schemas.checkpoint import ReplayState, StreamCheckpoint
from schemas.codec import (
    ContentType,
    content_type_of,
    decode,
    decode_chunk,
    decode_raw_chunk,
    encode,
    encode_raw_chunk,
    reply_type,
)
from schemas.dead import DeadLetter
from schemas.description import SchemaReply, SchemaRequest
from schemas.errors import (
    BadRequest,
    Conflict,
    ContractError,
    ErrorBody,
    ErrorCode,
    Internal,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    Timeout,
    Unavailable,
    Unprocessable,
)
from schemas.event import EventKind, StreamEvent
from schemas.hardware import (
    ConfiguredPort,
    CpuReport,
    DeviceReport,
    HardwareReply,
    HardwareRequest,
    HwList,
    HwListing,
    SerialDevice,
)
from schemas.message import Message, PersistedMessage, schema_of
from schemas.names import Name
from schemas.query import (
    BackendInfo,
    BackendRequest,
    BackendsReply,
    BackendsRequest,
    CwtReply,
    CwtRequest,
    HealthReply,
    HealthRequest,
    WctReply,
    WctRequest,
    XwtReply,
    XwtRequest,
)
from schemas.result import AnalysisResult, Engine, InputSpan, TimeAxis
from schemas.signal import SignalChunk
from schemas.significance import SignificanceReply, SignificanceRequest
from schemas.stored import StoredObject, StoredReply
from schemas.stream import (
    AnalysisSpec,
    Channel,
    SignificanceSpec,
    StreamDefinition,
    StreamDelete,
    StreamGet,
    StreamList,
    StreamListing,
    StreamPut,
    StreamStatus,
)
from schemas.timing import ResultTimes, WindowTimes
from schemas.window import AnalysisWindow, Tile

__all__ = [
    "AnalysisResult",
    "AnalysisSpec",
    "AnalysisWindow",
    "BackendInfo",
    "BackendRequest",
    "BackendTiming",
    "BackendsReply",
    "BackendsRequest",
    "BadRequest",
    "BenchmarkReply",
    "BenchmarkRequest",
    "Channel",
    "ConfiguredPort",
    "Conflict",
    "ContentType",
    "ContractError",
    "CpuReport",
    "CwtReply",
    "CwtRequest",
    "DeadLetter",
    "DeviceReport",
    "Engine",
    "ErrorBody",
    "ErrorCode",
    "EventKind",
    "HardwareReply",
    "HardwareRequest",
    "HealthReply",
    "HealthRequest",
    "HwList",
    "HwListing",
    "InputSpan",
    "Internal",
    "Message",
    "Name",
    "NotFound",
    "Overloaded",
    "PayloadTooLarge",
    "PersistedMessage",
    "ReplayState",
    "ResultTimes",
    "SchemaReply",
    "SchemaRequest",
    "SerialDevice",
    "SignalChunk",
    "SignificanceReply",
    "SignificanceRequest",
    "SignificanceSpec",
    "StoredObject",
    "StoredReply",
    "StreamCheckpoint",
    "StreamDefinition",
    "StreamDelete",
    "StreamEvent",
    "StreamGet",
    "StreamList",
    "StreamListing",
    "StreamPut",
    "StreamStatus",
    "Tile",
    "TimeAxis",
    "Timeout",
    "Unavailable",
    "Unprocessable",
    "WctReply",
    "WctRequest",
    "WindowTimes",
    "XwtReply",
    "XwtRequest",
    "content_type_of",
    "decode",
    "decode_chunk",
    "decode_raw_chunk",
    "encode",
    "encode_raw_chunk",
    "reply_type",
    "schema_of",
]
