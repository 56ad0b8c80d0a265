"""Exports: a complete analysis of a stream as a file, as `pycwt-mod export` writes it.

An export is read into memory and written to the temporary folder, one at a time. The file is sent
from there and then removed. Memory and the number of files are therefore bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, Literal

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from cwt_gateway.caller import Caller, Calling
from cwt_gateway.contract import contract
from cwt_gateway.media import check_accepts
from cwt_gateway.problems import ProblemDetails
from cwt_gateway.slots import Slots
from cwt_gateway.streams import known_name
from cwt_schemas.errors import Timeout, Unprocessable
from pycwt_client import Export

__all__ = ["Exports", "router"]

#: Maximum number of exports that are being made or sent.
MAX_EXPORTS: Final = 4
#: Maximum memory of the results of an export, and of its arrays: seven million values of a
#: coherence in double precision. Assembling and writing them needs as much again.
MAX_BYTES: Final = 128 * 1024 * 1024
#: A row of a table is about six times as long as its value in memory.
TABLE_FACTOR: Final = 6
#: Maximum number of panels of a picture, each of which needs 2 MB of memory.
MAX_PANELS: Final = 32
#: Deadline of reading. The results of `MAX_BYTES` take seconds; the rest allows for an outage of
#: the log.
READ_TIMEOUT_S: Final = 60.0
#: Response header: number of windows without a result in the file, because they wait for a worker.
WINDOWS_WAITING: Final = "Cwt-Windows-Waiting"

router = APIRouter(prefix="/api/v1/streams", tags=["log"])

FileFormat = Literal["npz", "csv", "netcdf", "png"]


@dataclass(frozen=True, kw_only=True)
class _Format:
    ending: str
    media_type: str
    save: Callable[[Export, Path], None]
    #: Maximum size of the file relative to the export in memory.
    factor: int = 1
    max_sets: int | None = None


FORMATS: Final[dict[FileFormat, _Format]] = {
    "npz": _Format(ending=".npz", media_type="application/x-npz", save=Export.save_npz),
    "csv": _Format(ending=".csv", media_type="text/csv", save=Export.save_csv, factor=TABLE_FACTOR),
    "netcdf": _Format(ending=".nc", media_type="application/x-netcdf", save=Export.save_netcdf),
    "png": _Format(
        ending=".png", media_type="image/png", save=Export.save_picture, max_sets=MAX_PANELS
    ),
}


@router.get("/{name}/export", summary="Export an analysis as a file", operation_id="export")
@contract(media_types=tuple(each.media_type for each in FORMATS.values()))
async def export(
    request: Request,
    caller: Calling,
    name: str,
    file_format: Annotated[
        FileFormat,
        Query(alias="format", description="NumPy archive, table, netCDF file or picture"),
    ],
    analysis: Annotated[str | None, Query(description="analysis; default: the only one")] = None,
    channels: Annotated[
        str | None,
        Query(max_length=80_000, description="one channel set, `c3` or `c3,c4`; default: all"),
    ] = None,
    epoch: Annotated[
        str | None, Query(description="run of the device; default: the newest run with results")
    ] = None,
    step_s: Annotated[
        float | None,
        Query(
            ge=1e-9,
            le=1e9,
            description="seconds between columns; default: the step of the highest octave",
        ),
    ] = None,
) -> Response:
    """Return the scalogram of a stream with axes, mask, thresholds, units and provenance.

    The results of a deleted stream can be exported for as long as the log stores them.
    """
    chosen = FORMATS[file_format]
    check_accepts(request, chosen.media_type)
    exports = request.app.state.exports
    assert isinstance(exports, Exports)  # noqa: S101 - make_app puts it there
    selection = _Selection(
        stream=known_name(name),
        analysis=analysis,
        channels=None if channels is None else tuple(each.strip() for each in channels.split(",")),
        epoch=epoch,
        step_s=step_s,
    )
    with ExitStack() as stack:
        stack.enter_context(exports.slots.taken())
        folder = stack.enter_context(TemporaryDirectory(prefix="cwt-export-"))
        async with exports.turn:
            found = await selection.read(caller, exports.max_bytes // chosen.factor)
            path = Path(folder, f"{found.stream}-{found.analysis}{chosen.ending}")
            await anyio.to_thread.run_sync(_write, found, chosen, path)
        waiting = {WINDOWS_WAITING: str(found.windows_waiting)}
        return _TemporaryFile(path, chosen.media_type, waiting, stack.pop_all())


class Exports:
    """The exports that this gateway is making or sending.

    Parameters
    ----------
    limit
        Maximum number of exports.
    max_bytes
        Maximum memory of the arrays of one export, bytes.
    """

    def __init__(self, *, limit: int = MAX_EXPORTS, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.slots = Slots(limit, "exports are already being made or sent: retry later")
        #: Held while an export is in memory.
        self.turn = anyio.Lock()


@dataclass(frozen=True, kw_only=True)
class _Selection:
    """The selection of an export."""

    stream: str
    analysis: str | None
    channels: tuple[str, ...] | None
    epoch: str | None
    step_s: float | None

    async def read(self, caller: Caller, max_bytes: int) -> Export:
        try:
            with anyio.fail_after(READ_TIMEOUT_S):
                return await caller.client.export(
                    self.stream,
                    self.analysis,
                    epoch=self.epoch,
                    channels=self.channels,
                    step_s=self.step_s,
                    max_bytes=max_bytes,
                )
        except TimeoutError:
            raise Timeout(
                f"cannot read the results within {READ_TIMEOUT_S:g} s: retry later"
            ) from None


def _write(found: Export, chosen: _Format, path: Path) -> None:
    """Write the file.

    Raises
    ------
    Unprocessable
        The picture would have too many panels.
    ProblemDetails
        501: a library is not installed.
    """
    sets = len(found.channel_sets)
    if chosen.max_sets is not None and sets > chosen.max_sets:
        problem = (
            f"cannot draw {sets} channel sets: a picture can show {chosen.max_sets}; choose one"
        )
        raise Unprocessable.of({"channels": problem})
    try:
        chosen.save(found, path)
    except ModuleNotFoundError as error:
        detail = f"cannot draw: {error.name} is not installed at the gateway; use another format"
        raise ProblemDetails(HTTPStatus.NOT_IMPLEMENTED, "not_installed", detail) from None


class _TemporaryFile(FileResponse):
    """Send a file, and then close its context."""

    def __init__(
        self, path: Path, media_type: str, headers: dict[str, str], context: ExitStack
    ) -> None:
        super().__init__(path, headers=headers, media_type=media_type, filename=path.name)
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._context:
            await super().__call__(scope, receive, send)
