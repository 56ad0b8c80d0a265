"""The page `/live` and its files.

They are built from `services/gateway/page/` and shipped in the package. The page's policy allows
only its own files and connections: no inline script, no other host.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from pathlib import PurePosixPath

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cwt_gateway.media import accepts_gzip
from cwt_gateway.problems import ProblemDetails

__all__ = ["POLICY", "router"]

_DIRECTIVES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    # Downloads are blobs that the page creates.
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
#: The Content-Security-Policy of the page.
POLICY = "; ".join(f"{directive} {sources}" for directive, sources in _DIRECTIVES.items())
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
#: Files keep their names between versions, so browsers revalidate them, and mostly get 304.
CACHE = "no-cache"

router = APIRouter()


@dataclass(frozen=True)
class _File:
    body: bytes
    zipped: bytes
    media_type: str
    etag: str


@router.get("/live", include_in_schema=False)
async def live(request: Request) -> Response:
    """Return the page."""
    return _respond(request, "live.html")


@router.get("/static/{name}", include_in_schema=False)
async def static(request: Request, name: str) -> Response:
    """Return a file of the page, or the client for programs."""
    return _respond(request, name)


def _respond(request: Request, name: str) -> Response:
    file = _files().get(name)
    if file is None:
        raise ProblemDetails(HTTPStatus.NOT_FOUND, "not_found", f"there is no file {name[:80]!r}")
    headers = {
        "Cache-Control": CACHE,
        "Content-Security-Policy": POLICY,
        "ETag": file.etag,
        "Vary": "Accept-Encoding",
    }
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if not accepts_gzip(request):
        return Response(file.body, headers=headers, media_type=file.media_type)
    headers["Content-Encoding"] = "gzip"
    return Response(file.zipped, headers=headers, media_type=file.media_type)


@cache
def _files() -> dict[str, _File]:
    """Return the files by name."""
    folder = files("cwt_gateway") / "static"
    return {each.name: _file(each.name, each.read_bytes()) for each in folder.iterdir()}


def _file(name: str, body: bytes) -> _File:
    return _File(
        body=body,
        zipped=gzip.compress(body, mtime=0),
        media_type=MEDIA_TYPES[PurePosixPath(name).suffix],
        etag=f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
    )
