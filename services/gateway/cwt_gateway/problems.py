"""Errors as RFC 9457 problem details.

The status is that of the error's code, with two exceptions inherited from an earlier REST
interface: signals of different lengths are 400, and a body that cannot be decoded is 422.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from cwt_runtime.bus.errors import BusError, ForbiddenError
from cwt_schemas.errors import ContractError, ErrorCode, Forbidden, Unavailable, Unprocessable
from cwt_schemas.message import UNEQUAL_LENGTHS

__all__ = [
    "PROBLEM_TYPE",
    "ProblemDetails",
    "error_of",
    "handle_problems",
    "problem_of",
    "status_of",
]

PROBLEM_TYPE = "application/problem+json"
#: Default retry delay of a client after a transient refusal, seconds.
RETRY_S = 1
#: Phrases and names of statuses differ between versions of Python; codes must not.
_CODES = {code.status: code.value for code in ErrorCode}
_RETRIED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
#: Status for WebSockets (RFC 6455), when the server must respond instead of sending a close frame.
_POLICY_VIOLATION = 1008


class ProblemDetails(Exception):  # noqa: N818 - the name in the standard
    """A refusal by the gateway itself, for a reason without a code on the bus."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers

    def response(self) -> Response:
        """Return the response."""
        return _response(self.status, self.code, self.detail, headers=self.headers)

    async def refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response to a request, or to the opening handshake of a WebSocket."""
        if scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
            await self.response()(scope, receive, send)
        else:
            await receive()  # websocket.connect
            await send(
                {"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": self.detail}
            )


def status_of(error: ContractError) -> int:
    """Return the HTTP status of an error of the bus."""
    if error.code is ErrorCode.BAD_REQUEST:
        return HTTPStatus.UNPROCESSABLE_ENTITY
    if (error.detail or {}).get("reason") == UNEQUAL_LENGTHS:
        return HTTPStatus.BAD_REQUEST
    return error.status


def error_of(error: BusError) -> ContractError:
    """Return what an error of the bus means to a client."""
    if isinstance(error, ForbiddenError):
        return Forbidden(str(error))
    return Unavailable(f"the bus cannot be reached: {error}")


def problem_of(error: ContractError) -> Response:
    """Return the response for `error`."""
    return _response(status_of(error), error.code.value, error.message, error.detail)


def handle_problems(
    app: FastAPI, routes: Iterable[BaseRoute] = (), sockets: Collection[WebSocketRoute] = ()
) -> None:
    """Respond to every error that a route raises with problem details.

    `routes` provide the allowed methods for a 405, `sockets` the paths of WebSockets.
    """
    not_found = app.router.default

    async def no_route(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await not_found(scope, receive, send)
            return
        paths = ", ".join(each.path for each in sockets)
        detail = f"there is no WebSocket at {scope['path']}; available: {paths}"
        await ProblemDetails(HTTPStatus.NOT_FOUND, ErrorCode.NOT_FOUND, detail).refuse(
            scope, receive, send
        )

    app.router.default = no_route

    @app.exception_handler(ContractError)
    async def _contract(_request: Request, error: ContractError) -> Response:
        return problem_of(error)

    @app.exception_handler(BusError)
    async def _bus(_request: Request, error: BusError) -> Response:
        return problem_of(error_of(error))

    @app.exception_handler(ProblemDetails)
    async def _own(_request: Request, error: ProblemDetails) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def _parameters(_request: Request, error: RequestValidationError) -> Response:
        fields = {str(each["loc"][-1]): str(each["msg"]) for each in error.errors()}
        return problem_of(Unprocessable.of(fields))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        headers = dict(error.headers or {})
        if status == HTTPStatus.NOT_FOUND and _is_socket(sockets, request):
            status = HTTPStatus.UPGRADE_REQUIRED
            headers |= {"Upgrade": "websocket", "Connection": "Upgrade"}
        details = {
            HTTPStatus.NOT_FOUND: f"{request.url.path} does not exist; /docs lists all paths",
            HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not allowed for "
            f"{request.url.path}; /docs lists the methods",
            HTTPStatus.UPGRADE_REQUIRED: f"{request.url.path} is a WebSocket: open it as one",
        }
        code = _CODES.get(status) or status.name.lower()
        if status == HTTPStatus.METHOD_NOT_ALLOWED and (methods := _methods(routes, request)):
            headers["Allow"] = ", ".join(methods)
        return _response(status, code, details.get(status, str(error.detail)), headers=headers)


def _methods(routes: Iterable[BaseRoute], request: Request) -> list[str]:
    """Return the methods of a path, which several routes may have; HEAD is handled as GET."""
    methods: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _is_socket(sockets: Collection[WebSocketRoute], request: Request) -> bool:
    """Return whether a request is for the path of a WebSocket."""
    opening = {**request.scope, "type": "websocket"}
    return any(socket.matches(opening)[0] is Match.FULL for socket in sockets)


def _response(
    status: int,
    code: str,
    detail: str,
    facts: Mapping[str, Any] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Response:
    own = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
    }
    more = dict(headers or {})
    if status in _RETRIED:
        after = (facts or {}).get("retry_after_s", RETRY_S)
        more.setdefault("Retry-After", str(max(1, round(float(after)))))
    body = orjson.dumps(
        {**own, **{key: each for key, each in (facts or {}).items() if key not in own}}
    )
    return Response(body, status, headers=more, media_type=PROBLEM_TYPE)
