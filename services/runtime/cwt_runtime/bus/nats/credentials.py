"""The user of a connection, as arguments of the driver's `connect`.

All files are read before the first connection, and errors are reported then. Password, token and
credentials files are read again at each reconnect, so that a changed password takes effect; an
error at that point is a connection error, and is retried. The nkey seed is read only once, because
a different seed is a different user.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import nats.errors

from cwt_runtime.bus.errors import UnusableConnectionError
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.urls import has_credentials

__all__ = ["describe_user", "read_file", "user_options"]

#: The parts of a credentials file (ADR-14).
JWT = "NATS USER JWT"
SEED = "USER NKEY SEED"


def user_options(settings: ConnectSettings) -> dict[str, Any]:
    """Return the arguments of the driver's `connect` that identify the user.

    Raises
    ------
    UnusableConnectionError
        A file is missing, unreadable or invalid.
    """
    if settings.password_file is not None:
        password = partial(_secret, Path(settings.password_file), "password file")
        password()
        return {"user": settings.user, "password": _as_driver_error(password)}
    if settings.token_file is not None:
        token = partial(_secret, Path(settings.token_file), "token file")
        token()
        return {"token": _as_driver_error(token)}
    if settings.nkey_seed_file is not None:
        path = Path(settings.nkey_seed_file)
        seed = _secret(path, "nkey seed file")
        _key_pair(seed, path)
        return {"nkeys_seed_str": seed}
    if settings.creds is not None:
        path = Path(settings.creds)
        _jwt(path)
        _signature(path, "")
        return {
            "user_jwt_cb": _as_driver_error(partial(_jwt, path)),
            "signature_cb": _as_driver_error(partial(_signature, path)),
        }
    return {}


def describe_user(settings: ConnectSettings) -> str:
    """Return a description of the user in the settings, with the expiry of its credentials."""
    if settings.password_file is not None:
        return f"user {settings.user!r} with the password in {settings.password_file}"
    if settings.token_file is not None:
        return f"the token in {settings.token_file}"
    if settings.nkey_seed_file is not None:
        return f"the nkey in {settings.nkey_seed_file}"
    if settings.creds is not None:
        return f"the credentials in {settings.creds}{_expiry(Path(settings.creds))}"
    if has_credentials(settings.url):
        return "the user in the URL"
    return (
        "a client without a user; set CWT_NATS_USER and CWT_NATS_PASSWORD_FILE, or CWT_NATS_CREDS"
    )


def _expiry(path: Path) -> str:
    """Return the time at which credentials expired; empty if valid or without an expiry."""
    try:
        claims = _jwt(path).split(b".")[1]
        expires_s = json.loads(base64.urlsafe_b64decode(claims + b"=="))["exp"]
        expired = datetime.fromtimestamp(expires_s, UTC)
    except (UnusableConnectionError, LookupError, ValueError, TypeError, OverflowError, OSError):
        return ""
    return (
        f", which expired on {expired:%Y-%m-%d at %H:%M:%S} UTC"
        if expired < datetime.now(UTC)
        else ""
    )


def _jwt(path: Path) -> bytes:
    return _part(path, JWT).encode()


def _signature(path: Path, nonce: str) -> bytes:
    return base64.b64encode(_key_pair(_part(path, SEED), path).sign(nonce.encode()))


def _key_pair(seed: str, path: Path) -> Any:  # noqa: ANN401 - nkeys has no types
    import nkeys  # loads a C library that most connections do not need

    try:
        return nkeys.from_seed(bytearray(seed.encode()))
    except (nkeys.NkeysError, ValueError) as error:
        raise UnusableConnectionError(f"{path} contains no valid nkey seed") from error


def _part(path: Path, name: str) -> str:
    """Return a section of a credentials file."""
    text = read_file(path, "credentials file")
    match = re.search(rf"^-+BEGIN {name}-+\r?\n(\S+)", text, re.MULTILINE)
    if match is None:
        raise UnusableConnectionError(f"{path} is not a NATS credentials file: no part {name}")
    return match[1]


def _secret(path: Path, what: str) -> str:
    """Return the text of a file without trailing line breaks."""
    text = read_file(path, what).rstrip("\r\n")
    if not text:
        raise UnusableConnectionError(f"the {what} {path} is empty")
    return text


def read_file(path: Path, what: str) -> str:
    """Return the text of a file named in the settings.

    Raises
    ------
    UnusableConnectionError
        The file cannot be read; `what` describes the file in the message.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UnusableConnectionError(f"cannot read the {what} {path}: {reason}") from error


def _as_driver_error(read: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `read` so that the driver treats its errors as failed connections."""

    def reading(*arguments: str) -> Any:  # noqa: ANN401 - what `read` returns
        try:
            return read(*arguments)
        except UnusableConnectionError as error:
            raise nats.errors.Error(str(error)) from error

    return reading
