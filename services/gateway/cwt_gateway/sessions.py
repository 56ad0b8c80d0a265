"""Sessions, which replace keys in browsers and in WebSockets that cannot send headers.

A session is a JWT that names a key and expires after `SESSION_S`. It is valid only while its key
is: each request looks up the key. A session can be renewed until `SIGN_IN_S` after the key was
sent.

A session is signed with a secret derived from the password of the key's NATS user, which every
gateway has. So all gateways accept it, also after a restart, without a stored secret. The user
could sign sessions itself; they would grant only its own permissions.
"""

from __future__ import annotations

import hmac
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import jwt
from fastapi import APIRouter, Request
from fastapi.responses import Response

from cwt_gateway.authentication import SESSION_COOKIE, Authentication, authentication_of
from cwt_gateway.contract import contract
from cwt_gateway.keys import Grant, KeyRing
from cwt_gateway.media import accepted, respond_message
from cwt_schemas.errors import Conflict, Unavailable
from cwt_schemas.http import Session

__all__ = ["Sessions", "router"]

SESSION_S: Final = 15 * 60
#: Time after which the key must be sent again, seconds: a working day.
SIGN_IN_S: Final = 12 * 3600
ALGORITHM: Final = "HS256"
#: Context of the key derivation, which separates this use of a password from others.
_PURPOSE: Final = b"cwt-gateway session"

router = APIRouter(prefix="/api/v1/session", tags=["access"])


class Sessions:
    """Create and read sessions.

    Parameters
    ----------
    keys
        The valid keys.
    passwords
        Folder with a file for each user of NATS that keys act as.
    """

    def __init__(self, keys: KeyRing, passwords: Path) -> None:
        self._keys = keys
        self._passwords = passwords

    def issue(self, authentication: Authentication, now_s: int) -> tuple[str, int]:
        """Return a session and its expiry, seconds UTC.

        Raises
        ------
        Unavailable
            The gateway does not have the password of the key's user.
        """
        record = authentication.grant.record
        ends = [now_s + SESSION_S, authentication.signed_in_s + SIGN_IN_S]
        if record.expires_ns is not None:
            ends.append(record.expires_ns // 10**9)
        claims = {
            "sub": record.name,
            "key": authentication.grant.revision,
            "auth_time": authentication.signed_in_s,
            "iat": now_s,
            "exp": min(ends),
        }
        token = jwt.encode(
            claims, self._secret(authentication.grant), ALGORITHM, headers={"kid": record.name}
        )
        return token, min(ends)

    def read(self, token: str) -> Authentication | None:
        """Return the authentication of a session, or None if it has expired or is forged."""
        try:
            grant = self._keys.of_name(str(jwt.get_unverified_header(token).get("kid")))
            if grant is None:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret(grant),
                algorithms=[ALGORITHM],
                options={"require": ["exp", "sub", "key", "auth_time"]},
            )
        except jwt.InvalidTokenError:
            return None
        # A new key may have the name of a revoked one.
        if (claims["sub"], claims["key"]) != (grant.record.name, grant.revision):
            return None
        return Authentication(grant=grant, signed_in_s=int(claims["auth_time"]))

    def _secret(self, grant: Grant) -> bytes:
        user = grant.record.user
        try:
            password = (self._passwords / user).read_bytes().rstrip(b"\r\n")
        except OSError:
            raise Unavailable(f"the gateway has no password for the NATS user {user}") from None
        return hmac.digest(password, _PURPOSE, "sha256")


@router.post("", summary="Begin or continue a session", operation_id="begin_session")
@contract(reply=Session, archive=False)
async def begin(request: Request) -> Response:
    """Return a session of 15 minutes for a key, or for a session; it is also set as a cookie.

    A session can be continued for 12 hours after the key was sent.
    """
    accepted(request)
    authentication = authentication_of(request)
    if authentication is None:
        raise Conflict("cannot begin a session: this gateway does not use keys")
    sessions: Sessions = request.app.state.sessions
    now_s = int(time.time())
    token, expires_s = sessions.issue(authentication, now_s)
    record = authentication.grant.record
    session = Session(
        token=token, expires_ns=expires_s * 10**9, name=record.name, role=record.role,
        user=record.user,
    )  # fmt: skip
    response = await respond_message(request, session, headers={"Cache-Control": "no-store"})
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=max(expires_s - now_s, 0),
        httponly=True,
        samesite="strict",
        # A gateway does not know that a proxy in front of it speaks TLS, but the page does.
        secure=request.headers.get("origin", "").startswith("https://"),
    )
    return response


@router.delete("", summary="End a session", operation_id="end_session", status_code=204)
@contract(status=HTTPStatus.NO_CONTENT)
async def end() -> Response:
    """Delete the session cookie."""
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return response
