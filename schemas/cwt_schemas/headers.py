"""Names of message headers. NATS compares them case-sensitively."""

from __future__ import annotations

from typing import Final

#: The encoding of this message.
CONTENT_TYPE: Final = "Content-Type"
#: The encoding that the reply should have.
ACCEPT: Final = "Accept"

#: Of a request: the inbox for fields that are ready before the others. Of its reply: that some were
#: sent there.
EARLY: Final = "Cwt-Early"

#: JetStream drops a second message with the same id within its duplicate window.
MSG_ID: Final = "Nats-Msg-Id"

#: Of NATS services (ADR-32): the reason of a refusal, and its number.
SERVICE_ERROR: Final = "Nats-Service-Error"
SERVICE_ERROR_CODE: Final = "Nats-Service-Error-Code"

#: Of raw signal chunks, whose body is nothing but samples.
DTYPE: Final = "Cwt-Dtype"
FIRST_SAMPLE: Final = "Cwt-First-Sample"
EPOCH: Final = "Cwt-Epoch"
T0_NS: Final = "Cwt-T0-Ns"
#: ``1`` in the last chunk of an epoch.
FINAL: Final = "Cwt-Final"

#: Of outcomes of jobs, so that their state can be told without reading results: ``done`` or
#: ``failed``, the reason, and in JSON where a large outcome is.
TASK_STATUS: Final = "Cwt-Status"
TASK_ERROR: Final = "Cwt-Error"
TASK_OBJECT: Final = "Cwt-Object"
