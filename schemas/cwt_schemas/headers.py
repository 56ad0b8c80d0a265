"""Names of message headers. NATS compares them case-sensitively."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cwt_schemas.arrays import RAW_DTYPES

#: The encoding of this message.
CONTENT_TYPE: Final = "Content-Type"
#: The encoding that the reply should have.
ACCEPT: Final = "Accept"

#: In a request: the inbox for fields that are ready before the others. In its reply: ``1`` if
#: fields were sent there.
EARLY: Final = "Cwt-Early"

#: JetStream drops a second message with the same id within its duplicate window.
MSG_ID: Final = "Nats-Msg-Id"
#: Of a message that is read without its body: the size of the body, bytes.
MSG_SIZE: Final = "Nats-Msg-Size"

#: Headers of NATS services (ADR-32): message and code of an error.
SERVICE_ERROR: Final = "Nats-Service-Error"
SERVICE_ERROR_CODE: Final = "Nats-Service-Error-Code"

#: Sender of a request from another account, as JSON. The server writes it.
REQUEST_INFO: Final = "Nats-Request-Info"

#: Headers of raw signal chunks, whose body consists of samples.
DTYPE: Final = "Cwt-Dtype"
#: Number of interleaved channels; by default, that of the stream.
CHANNELS: Final = "Cwt-Channels"
FIRST_SAMPLE: Final = "Cwt-First-Sample"
EPOCH: Final = "Cwt-Epoch"
T0_NS: Final = "Cwt-T0-Ns"
#: ``1`` in the last chunk of an epoch.
FINAL: Final = "Cwt-Final"

_NUMBER: Final = {"type": "string", "pattern": "^[0-9]{1,19}$"}

#: The headers of raw signal chunks, each with its JSON Schema.
CHUNK: Final[Mapping[str, Mapping[str, Any]]] = {
    DTYPE: {
        "description": "Type of a sample, little-endian.",
        "type": "string",
        "enum": list(RAW_DTYPES),
    },
    CHANNELS: {
        "description": "Number of interleaved channels; a chunk whose number differs from the "
        "stream's is refused. Default: the stream's number.",
        **_NUMBER,
    },
    EPOCH: {"description": "Name of this run of the device.", "type": "string"},
    FIRST_SAMPLE: {
        "description": "Position of the first sample in the epoch. Default: directly after the "
        "last chunk.",
        **_NUMBER,
    },
    T0_NS: {
        "description": "Time of the first sample, nanoseconds UTC.",
        **_NUMBER,
    },
    FINAL: {
        "description": "1: the epoch ends with this chunk.",
        "type": "string",
        "enum": ["0", "1"],
    },
}

#: Headers of job outcomes, from which the status is known without reading results: ``done`` or
#: ``failed``, the reason of a failure, and the location of a large outcome, as JSON.
TASK_STATUS: Final = "Cwt-Status"
TASK_ERROR: Final = "Cwt-Error"
TASK_OBJECT: Final = "Cwt-Object"
