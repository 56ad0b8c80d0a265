"""The route for uploads of recordings.

The response is sent as soon as the file is read and the stream defined. Publishing continues in the
background.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from cwt_gateway.authentication import grant_of
from cwt_gateway.caller import Calling
from cwt_gateway.contract import contract
from cwt_gateway.guards import stream_body
from cwt_gateway.media import accepted, check_uncompressed, respond_message
from cwt_gateway.uploads import Upload, UploadRequest
from cwt_schemas.codec import ContentType
from cwt_schemas.errors import Unprocessable
from cwt_schemas.http import RecordingAccepted
from cwt_schemas.limits import MAX_FS_HZ
from cwt_schemas.message import is_name

__all__ = ["router"]

#: Speed of publishing, as a multiple of real time.
MAX_SPEED: Final = 1e6
#: Channels, and pairs of channels: names with commas.
Names = Annotated[str | None, Query(max_length=80_000)]

router = APIRouter(prefix="/api/v1/streams", tags=["streams"])


@router.post("/{name}/recording", summary="Upload a recording", status_code=HTTPStatus.ACCEPTED)
@contract(
    reply=RecordingAccepted,
    archive=False,
    status=HTTPStatus.ACCEPTED,
    raw=(ContentType.OCTETS.value,),
)
async def upload_recording(
    request: Request,
    caller: Calling,
    name: str,
    filename: Annotated[str, Query(min_length=1, max_length=255)],
    channels: Names = None,
    coherence: Annotated[list[str] | None, Query(max_length=1024)] = None,
    power: Names = None,
    band: Annotated[str | None, Query(max_length=100)] = None,
    fs_hz: Annotated[float | None, Query(gt=0, le=MAX_FS_HZ)] = None,
    speed: Annotated[float, Query(ge=0, le=MAX_SPEED)] = 0.0,
) -> Response:
    """Publish a CSV, EDF, BDF, WAV or XDF file; define the stream if it does not exist.

    Without parameters, the stream has the coherence of the first two channels, or the power of the
    only channel.
    """
    if not is_name(name):
        raise Unprocessable.of({"name": "must be 1 to 64 letters, digits, - or _"})
    specification = UploadRequest(
        stream=name,
        filename=filename,
        channels=_names(channels),
        coherence=tuple(_pair(each) for each in coherence or ()),
        power=_names(power) or (),
        band=None if band is None else _band(band),
        fs_hz=fs_hz,
        speed=speed,
    )
    accepted(request)
    check_uncompressed(request)
    state = request.app.state
    max_bytes = state.settings.http_upload_max_bytes
    stream_body(request, max_bytes)
    upload = Upload(
        specification,
        caller,
        state.caller.bus,
        grant_of(request),
        state.uploads,
        state.log,
        max_bytes,
    )
    receipt = await state.background.start(upload.run, request.stream())
    return await respond_message(request, receipt, status=HTTPStatus.ACCEPTED)


def _names(listed: str | None) -> tuple[str, ...] | None:
    if listed is None:
        return None
    return tuple(name.strip() for name in listed.split(","))


def _pair(listed: str) -> tuple[str, str]:
    pair = _names(listed) or ()
    if len(pair) != 2:
        raise Unprocessable.of({"coherence": "two channels are expected, such as ecg,abp"})
    return pair[0], pair[1]


def _band(listed: str) -> tuple[float, float]:
    try:
        fmin_hz, fmax_hz = (float(each) for each in listed.split(","))
    except ValueError:
        fmin_hz = fmax_hz = 0.0
    if not 0 < fmin_hz < fmax_hz:
        problem = "the lowest and the highest frequency in Hz are expected, such as 2,40"
        raise Unprocessable.of({"band": problem})
    return fmin_hz, fmax_hz
