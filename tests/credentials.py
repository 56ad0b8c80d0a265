"""A server whose users come with credentials files, signed by an operator of its own."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nkeys

from cwt_runtime.process.embedded_server import server_binary
from cwt_runtime.process.orphan_guard import guarded
from tests.servers import free_port

__all__ = ["Issuer", "credentials_server", "new_key"]

UNLIMITED = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)


def new_key(prefix: int) -> tuple[bytes, Any, str]:
    """Return a seed, its key pair and its public key."""
    seed = bytes(nkeys.encode_seed(secrets.token_bytes(32), prefix))
    pair = nkeys.from_seed(bytearray(seed))
    return seed, pair, pair.public_key.decode()


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _signed(
    issuer: Any,
    issued_by: str,
    subject: str,
    claims: dict[str, Any],
    expires_s: int | None = None,
) -> str:
    """Return a token as ADR-14 has it."""
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    body = {
        "jti": secrets.token_hex(8), "iat": 0, "iss": issued_by, "sub": subject, "name": "test",
        "nats": {**claims, "version": 2},
    }  # fmt: skip
    if expires_s is not None:
        body["exp"] = expires_s
    text = ".".join(_part(json.dumps(each).encode()) for each in (head, body))
    return f"{text}.{_part(issuer.sign(text.encode()))}"


class Issuer:
    """An account whose users have credentials files, for a server that trusts its operator."""

    def __init__(self, folder: Path) -> None:
        _, operator, operator_id = new_key(nkeys.PREFIX_BYTE_OPERATOR)
        _, self._account, self._account_id = new_key(nkeys.PREFIX_BYTE_ACCOUNT)
        limits = {**UNLIMITED, "wildcards": True}
        account = {"type": "account", "limits": limits}
        as_operator = _signed(operator, operator_id, operator_id, {"type": "operator"})
        as_account = _signed(operator, operator_id, self._account_id, account)
        #: Of the server.
        self.config = (
            f"operator: {as_operator}\nresolver: MEMORY\n"
            f"resolver_preload: {{ {self._account_id}: {as_account} }}\n"
        )
        #: Of the one user.
        self.creds = folder / "user.creds"
        self.url = ""

    def issue(self, *, expires_s: int | None = None) -> None:
        """Write credentials of a new user, which end at a time in seconds since 1970."""
        seed, _, user_id = new_key(nkeys.PREFIX_BYTE_USER)
        claims = {"type": "user", "subs": -1, "payload": -1}
        as_user = _signed(self._account, self._account_id, user_id, claims, expires_s)
        self.creds.write_text(
            f"-----BEGIN NATS USER JWT-----\n{as_user}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
        )


@asynccontextmanager
async def credentials_server(
    folder: Path, *, expires_s: int | None = None
) -> AsyncIterator[Issuer]:
    """Run a server that lets in the users of an issuer, which has issued credentials of one."""
    issuer = Issuer(folder)
    issuer.issue(expires_s=expires_s)
    port = free_port()
    issuer.url = f"nats://127.0.0.1:{port}"
    config = folder / "nats.conf"
    config.write_text(f'listen: "127.0.0.1:{port}"\n{issuer.config}')
    with (folder / "nats.log").open("wb") as log:
        server = subprocess.Popen(  # noqa: ASYNC220
            guarded([server_binary(), "-c", str(config)]),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield issuer
    finally:
        server.kill()
        server.wait()
