"""Every request-reply endpoint: its subject, its request and its reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

from cwt_schemas import subjects
from cwt_schemas.hardware import HardwareReply, HardwareRequest, HwList, HwListing
from cwt_schemas.hwops import (
    HwCancel,
    HwCancelled,
    HwCwtReply,
    HwCwtRequest,
    HwFftReply,
    HwFftRequest,
    HwInfo,
    HwInfoRequest,
    HwMcReply,
    HwMcRequest,
    HwSelftestReply,
    HwSelftestRequest,
)
from cwt_schemas.job import (
    JobCancel,
    JobGet,
    JobList,
    JobListing,
    JobRetry,
    JobState,
    JobSubmit,
    JobSubmitted,
)
from cwt_schemas.marker import Marker, MarkerStored
from cwt_schemas.message import Message
from cwt_schemas.provisional import FitReply, FitRequest
from cwt_schemas.query import (
    BackendInfo,
    BackendRequest,
    BackendsReply,
    BackendsRequest,
    BenchmarkReply,
    BenchmarkRequest,
    CwtReply,
    CwtRequest,
    MwctReply,
    MwctRequest,
    PwctReply,
    PwctRequest,
    SignificanceReply,
    SignificanceRequest,
    WctReply,
    WctRequest,
    XwtReply,
    XwtRequest,
)
from cwt_schemas.service import HealthReply, HealthRequest, SchemaReply, SchemaRequest
from cwt_schemas.simulation import SimulateReply, SimulateRequest
from cwt_schemas.stream import (
    StreamDelete,
    StreamGet,
    StreamList,
    StreamListing,
    StreamPurge,
    StreamPurged,
    StreamPut,
    StreamStatus,
)
from cwt_schemas.subjects import HwVerb


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A request-reply endpoint.

    ``{device}`` or ``{stream}`` in the subject stands for the name of a device or a stream.
    """

    subject: str
    request: type[Message]
    reply: type[Message]
    #: For the endpoint of one device or of all streams: the subject with the braces.
    family: str | None = None

    @property
    def schema_id(self) -> str:
        """Name and version for the metadata of the NATS service, such as ``query.cwt/1``."""
        name = (self.family or self.subject).removeprefix("cwt.")
        return f"{name.replace('{', '').replace('}', '')}/1"

    def of_device(self, device: str) -> Endpoint:
        """Return the endpoint of one device.

        Raises
        ------
        Unprocessable
            `device` is not a valid name of a device.
        """
        verb = cast("HwVerb", self.subject.rpartition(".")[2])
        return replace(self, subject=subjects.hw(device, verb), family=self.subject)

    def of_every_stream(self) -> Endpoint:
        """Return the endpoint that serves all streams."""
        return replace(self, subject=self.subject.format(stream="*"), family=self.subject)


def _table(*endpoints: Endpoint) -> Mapping[str, Endpoint]:
    return {endpoint.subject: endpoint for endpoint in endpoints}


#: Endpoints of ingest.
STREAM_ENDPOINTS: Final = _table(
    Endpoint(subject=subjects.stream("put"), request=StreamPut, reply=StreamStatus),
    Endpoint(subject=subjects.stream("get"), request=StreamGet, reply=StreamStatus),
    Endpoint(subject=subjects.stream("list"), request=StreamList, reply=StreamListing),
    Endpoint(subject=subjects.stream("delete"), request=StreamDelete, reply=StreamStatus),
    Endpoint(subject=subjects.stream("purge"), request=StreamPurge, reply=StreamPurged),
    Endpoint(subject=subjects.stream("health"), request=HealthRequest, reply=HealthReply),
)

#: Endpoint of ingest for users that may not publish in the log of results.
MARK_ENDPOINT: Final = Endpoint(
    subject=subjects.MARKS.replace("*", "{stream}"), request=Marker, reply=MarkerStored
)

#: Endpoints of compute; any free worker replies.
QUERY_ENDPOINTS: Final = _table(
    Endpoint(subject=subjects.query("cwt"), request=CwtRequest, reply=CwtReply),
    Endpoint(subject=subjects.query("xwt"), request=XwtRequest, reply=XwtReply),
    Endpoint(subject=subjects.query("wct"), request=WctRequest, reply=WctReply),
    Endpoint(subject=subjects.query("pwct"), request=PwctRequest, reply=PwctReply),
    Endpoint(subject=subjects.query("mwct"), request=MwctRequest, reply=MwctReply),
    Endpoint(
        subject=subjects.query("significance"),
        request=SignificanceRequest,
        reply=SignificanceReply,
    ),
    Endpoint(subject=subjects.query("benchmark"), request=BenchmarkRequest, reply=BenchmarkReply),
    Endpoint(subject=subjects.query("simulate"), request=SimulateRequest, reply=SimulateReply),
    Endpoint(subject=subjects.query("fit"), request=FitRequest, reply=FitReply),
    Endpoint(subject=subjects.query("schema"), request=SchemaRequest, reply=SchemaReply),
    Endpoint(subject=subjects.query("backends"), request=BackendsRequest, reply=BackendsReply),
    Endpoint(subject=subjects.query("backend"), request=BackendRequest, reply=BackendInfo),
    Endpoint(subject=subjects.query("hardware"), request=HardwareRequest, reply=HardwareReply),
    Endpoint(subject=subjects.query("health"), request=HealthRequest, reply=HealthReply),
)

#: Endpoints of compute; any free worker replies.
JOB_ENDPOINTS: Final = _table(
    Endpoint(subject=subjects.job("submit"), request=JobSubmit, reply=JobSubmitted),
    Endpoint(subject=subjects.job("get"), request=JobGet, reply=JobState),
    Endpoint(subject=subjects.job("list"), request=JobList, reply=JobListing),
    Endpoint(subject=subjects.job("cancel"), request=JobCancel, reply=JobState),
    Endpoint(subject=subjects.job("retry"), request=JobRetry, reply=JobState),
)

#: Endpoint of the hardware bridge.
HW_ENDPOINTS: Final = _table(
    Endpoint(subject=subjects.HW_LIST, request=HwList, reply=HwListing),
)


def _of_devices(verb: HwVerb, request: type[Message], reply: type[Message]) -> Endpoint:
    return Endpoint(subject=f"{subjects.HW_DEVICE}.{verb}", request=request, reply=reply)


#: Endpoints of the hardware bridge, for each configured device.
DEVICE_ENDPOINTS: Final[Mapping[HwVerb, Endpoint]] = {
    "info": _of_devices("info", HwInfoRequest, HwInfo),
    "selftest": _of_devices("selftest", HwSelftestRequest, HwSelftestReply),
    "fft": _of_devices("fft", HwFftRequest, HwFftReply),
    "cwt": _of_devices("cwt", HwCwtRequest, HwCwtReply),
    "mc": _of_devices("mc", HwMcRequest, HwMcReply),
    "cancel": _of_devices("cancel", HwCancel, HwCancelled),
}

#: All endpoints, by subject.
ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    **STREAM_ENDPOINTS,
    **_table(MARK_ENDPOINT),
    **QUERY_ENDPOINTS,
    **JOB_ENDPOINTS,
    **HW_ENDPOINTS,
    **_table(*DEVICE_ENDPOINTS.values()),
}
