"""Sessions: what a browser has in place of a key, and a WebSocket that cannot send headers.

A session is a JWT that names a key and expires after `SESSION_S`. It is valid as long as its key:
each request looks the key up. A session can be exchanged for a new one until `SIGN_IN_S` after the
key was given.

It is signed with the password of the key's user of NATS, which every gateway has. So a session
counts at each gateway, also after a restart, and no secret is stored for it. The user itself could
sign sessions, which grant nothing but its own permissions.
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

from cwt_gateway.admission import SESSION_COOKIE, Admission, admission_of
from cwt_gateway.contract import contract
from cwt_gateway.keys import Grant, KeyRing
from cwt_gateway.media import accepted, respond_message
from cwt_schemas.errors import Conflict, Unavailable
from cwt_schemas.http import Session

__all__ = ["Sessions", "router"]

SESSION_S: Final = 15 * 60
#: A working day; then the key has to be given again.
SIGN_IN_S: Final = 12 * 3600
ALGORITHM: Final = "HS256"
#: Separates this use of a password from others.
_PURPOSE: Final = b"cwt-gateway session"

router = APIRouter(prefix="/api/v1/session", tags=["access"])


class Sessions:
    """Makes and reads sessions.

    Parameters
    ----------
    keys
        The keys that are valid now.
    passwords
        Folder with a file for each user of NATS that keys act as.
    """

    def __init__(self, keys: KeyRing, passwords: Path) -> None:
        self._keys = keys
        self._passwords = passwords

    def issue(self, admission: Admission, now_s: int) -> tuple[str, int]:
        """Return a session, and when it expires, seconds UTC.

        Raises
        ------
        Unavailable
            The gateway has no password of the key's user.
        """
        record = admission.grant.record
        ends = [now_s + SESSION_S, admission.signed_in_s + SIGN_IN_S]
        if record.expires_ns is not None:
            ends.append(record.expires_ns // 10**9)
        claims = {
            "sub": record.name,
            "key": admission.grant.revision,
            "auth_time": admission.signed_in_s,
            "iat": now_s,
            "exp": min(ends),
        }
        token = jwt.encode(
            claims, self._secret(admission.grant), ALGORITHM, headers={"kid": record.name}
        )
        return token, min(ends)

    def read(self, token: str) -> Admission | None:
        """Return whom a session admits; None if it has expired, or was not made by a gateway."""
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
        # Another key may have the name of one that was revoked.
        if (claims["sub"], claims["key"]) != (grant.record.name, grant.revision):
            return None
        return Admission(grant=grant, signed_in_s=int(claims["auth_time"]))

    def _secret(self, grant: Grant) -> bytes:
        user = grant.record.user
        try:
            password = (self._passwords / user).read_bytes().rstrip(b"\r\n")
        except OSError:
            raise Unavailable(f"the gateway has no password of the user {user} of NATS") from None
        return hmac.digest(password, _PURPOSE, "sha256")


@router.post("", summary="Begin or continue a session", operation_id="begin_session")
@contract(reply=Session, archive=False)
async def begin(request: Request) -> Response:
    """Return a session of 15 minutes for a key, or for a session; it is also set as a cookie.

    A session can be continued for 12 hours after the key was sent.
    """
    accepted(request)
    admission = admission_of(request)
    if admission is None:
        raise Conflict("this gateway needs no keys, so there are no sessions")
    sessions: Sessions = request.app.state.sessions
    now_s = int(time.time())
    token, expires_s = sessions.issue(admission, now_s)
    record = admission.grant.record
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
    """Remove the cookie of the session."""
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return response
