"""The user of a connection, as arguments of the driver's `connect`.

Files are read before the first connection, where a fault is reported as such. Those of passwords,
tokens and credentials are read again whenever the connection is made again: a password that was
changed is used from then on. What goes wrong there is an error of the connection, and is tried
again. The seed of an nkey is read once, since another seed is another user.
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
        A file is missing, unreadable, or not what it should be.
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
    """Return the user that the settings name, and what is wrong with it as far as its file says."""
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
    """Return when credentials expired, empty if they have not or do not say."""
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
    import nkeys  # loads a C library, which most connections do not need

    try:
        return nkeys.from_seed(bytearray(seed.encode()))
    except (nkeys.NkeysError, ValueError) as error:
        raise UnusableConnectionError(f"{path} contains no valid nkey seed") from error


def _part(path: Path, name: str) -> str:
    """Return a part of a credentials file."""
    text = read_file(path, "credentials file")
    match = re.search(rf"^-+BEGIN {name}-+\r?\n(\S+)", text, re.MULTILINE)
    if match is None:
        raise UnusableConnectionError(f"{path} is not a NATS credentials file: no part {name}")
    return match[1]


def _secret(path: Path, what: str) -> str:
    """Return the text of a file without the line breaks at its end."""
    text = read_file(path, what).rstrip("\r\n")
    if not text:
        raise UnusableConnectionError(f"the {what} {path} is empty")
    return text


def read_file(path: Path, what: str) -> str:
    """Return the text of a file that the settings name.

    Raises
    ------
    UnusableConnectionError
        It cannot be read; `what` says in the message which file it is.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UnusableConnectionError(f"cannot read the {what} {path}: {reason}") from error


def _as_driver_error(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose faults the driver takes for a connection that failed."""

    def reading(*arguments: str) -> Any:  # noqa: ANN401 - what `read` returns
        try:
            return read(*arguments)
        except UnusableConnectionError as error:
            raise nats.errors.Error(str(error)) from error

    return reading
