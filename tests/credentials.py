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

__all__ = ["credentials_server"]

UNLIMITED = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)


def _key(prefix: int) -> tuple[bytes, Any, str]:
    seed = bytes(nkeys.encode_seed(secrets.token_bytes(32), prefix))
    pair = nkeys.from_seed(bytearray(seed))
    return seed, pair, pair.public_key.decode()


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _signed(issuer: Any, issued_by: str, subject: str, claims: dict[str, Any]) -> str:
    """Return a token as ADR-14 has it."""
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    body = {
        "jti": secrets.token_hex(8), "iat": 0, "iss": issued_by, "sub": subject, "name": "test",
        "nats": {**claims, "version": 2},
    }  # fmt: skip
    text = ".".join(_part(json.dumps(each).encode()) for each in (head, body))
    return f"{text}.{_part(issuer.sign(text.encode()))}"


@asynccontextmanager
async def credentials_server(folder: Path) -> AsyncIterator[tuple[str, Path]]:
    """Run a server; yield its address and the credentials file of the one user it lets in."""
    _, operator, operator_id = _key(nkeys.PREFIX_BYTE_OPERATOR)
    _, account, account_id = _key(nkeys.PREFIX_BYTE_ACCOUNT)
    seed, _, user_id = _key(nkeys.PREFIX_BYTE_USER)
    as_operator = _signed(operator, operator_id, operator_id, {"type": "operator"})
    limits = {**UNLIMITED, "wildcards": True}
    as_account = _signed(operator, operator_id, account_id, {"type": "account", "limits": limits})
    as_user = _signed(account, account_id, user_id, {"type": "user", "subs": -1, "payload": -1})
    port = free_port()
    config, creds = folder / "nats.conf", folder / "user.creds"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\noperator: {as_operator}\nresolver: MEMORY\n'
        f"resolver_preload: {{ {account_id}: {as_account} }}\n"
    )
    creds.write_text(
        f"-----BEGIN NATS USER JWT-----\n{as_user}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
    )
    with (folder / "nats.log").open("wb") as log:
        server = subprocess.Popen(  # noqa: ASYNC220
            guarded([server_binary(), "-c", str(config)]),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield f"nats://127.0.0.1:{port}", creds
    finally:
        server.kill()
        server.wait()
