"""Authentication: where keys are configured, every request needs a valid key or session.

A key is sent in the header ``Authorization: Bearer`` or ``X-API-Key``; a session in the same
headers, in a cookie or, for a WebSocket, in the parameter ``session``. All paths except those in
`PUBLIC` need one of them, including paths that do not exist.

Requests of a key are within its `RateLimits`; all others, public or refused, within those of their
address.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from cwt_gateway.keys import Grant, KeyRing
from cwt_gateway.problems import ProblemDetails
from cwt_gateway.rates import RateLimits
from cwt_runtime.storage.keys import KEY_PREFIX
from cwt_schemas.errors import Unavailable

__all__ = [
    "KEY_HEADER",
    "PUBLIC",
    "SESSION_COOKIE",
    "SESSION_PARAMETER",
    "Authentication",
    "KeyGuard",
    "SessionReader",
    "authentication_of",
    "grant_of",
    "unauthorized",
]

KEY_HEADER: Final = "X-API-Key"
BEARER: Final = "bearer"
SESSION_COOKIE: Final = "cwt_session"
#: Query parameter for WebSockets, because browsers do not let a page set their headers.
SESSION_PARAMETER: Final = "session"
#: Paths without authentication: status, documentation, and the page, which prompts for a key.
PUBLIC: Final = frozenset(
    {"/", "/health", "/livez", "/readyz", "/docs", "/redoc", "/openapi.json", "/live"}
)
PUBLIC_FOLDERS: Final = ("/static/", "/static-offline-docs/")
#: Key of the authentication in a request's scope.
_SCOPE_KEY: Final = "cwt.authentication"


@dataclass(frozen=True, kw_only=True)
class Authentication:
    """The key or session of an authenticated request."""

    grant: Grant
    #: Time at which the key itself was sent, seconds UTC.
    signed_in_s: int


class SessionReader(Protocol):
    """Reader of sessions."""

    def read(self, token: str) -> Authentication | None:
        """Return the authentication of a session, or None if the session is invalid."""


class KeyGuard:
    """Middleware that refuses requests without a valid key or session, and those above a limit."""

    def __init__(
        self, app: ASGIApp, keys: KeyRing, sessions: SessionReader, limits: RateLimits
    ) -> None:
        self.app = app
        self._keys = keys
        self._sessions = sessions
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request with its authentication, or reject it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        app, grant = self.app, None
        if not _is_public(scope["path"]):
            try:
                authentication = self._authenticate(HTTPConnection(scope))
            except ProblemDetails as problem:
                app = problem.refuse
            else:
                scope[_SCOPE_KEY], grant = authentication, authentication.grant
        await self._limits.forward(app, grant, scope, receive, send)

    def _authenticate(self, connection: HTTPConnection) -> Authentication:
        sent = _header(connection)
        token = sent or _session(connection)
        if token is None:
            raise unauthorized(
                "this gateway needs a key: send it as `Authorization: Bearer KEY`, or in the "
                f"header {KEY_HEADER}; `pycwt-mod key add` makes one"
            )
        authentication = self._of_key(token) if sent else None
        if authentication is None:
            authentication = self._of_session(token)
        if authentication is None:
            raise unauthorized(
                "the key is not known here, or was revoked"
                if sent
                else "the session has expired, or its key was revoked: sign in again"
            )
        if authentication.grant.fault is not None:
            raise unauthorized(authentication.grant.fault)
        return authentication

    def _of_key(self, token: str) -> Authentication | None:
        grant = self._keys.of_key(token) if token.startswith(KEY_PREFIX) else None
        return None if grant is None else Authentication(grant=grant, signed_in_s=int(time.time()))

    def _of_session(self, token: str) -> Authentication | None:
        try:
            return self._sessions.read(token)
        except Unavailable as error:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            raise ProblemDetails(status, error.code.value, error.message) from None


def authentication_of(connection: HTTPConnection) -> Authentication | None:
    """Return the authentication of a request, or None if no keys are configured."""
    value = connection.scope.get(_SCOPE_KEY)
    assert value is None or isinstance(value, Authentication)  # noqa: S101 - set by `KeyGuard`
    return value


def grant_of(connection: HTTPConnection) -> Grant | None:
    """Return the grant of a request's key, or None if no keys are configured."""
    authentication = authentication_of(connection)
    return None if authentication is None else authentication.grant


def unauthorized(detail: str) -> ProblemDetails:
    """Return the error for a request without a valid key."""
    challenge = {"WWW-Authenticate": 'Bearer realm="pycwt-mod"'}
    return ProblemDetails(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, headers=challenge)


def _header(connection: HTTPConnection) -> str | None:
    """Return the key or session in the headers of a program."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == BEARER:
        return token.strip()
    return connection.headers.get(KEY_HEADER)


def _session(connection: HTTPConnection) -> str | None:
    """Return the session of a browser; keys are not accepted in a URL or a cookie."""
    if connection.scope["type"] == "websocket" and SESSION_PARAMETER in connection.query_params:
        return connection.query_params[SESSION_PARAMETER]
    return connection.cookies.get(SESSION_COOKIE)


def _is_public(path: str) -> bool:
    return path in PUBLIC or path.startswith(PUBLIC_FOLDERS)
