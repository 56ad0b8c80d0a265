"""The URL of the page, with a key if the gateway needs one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio

from cwt_cli.ports import HttpAddress
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_runtime.rpc.audit import AuditLog
from cwt_runtime.rpc.caller import Caller
from cwt_runtime.storage.keys import add_key
from cwt_schemas import storage
from cwt_schemas.access import Role
from cwt_schemas.audit import AuditAction
from cwt_schemas.errors import ContractError

__all__ = ["page_with_key"]

#: Name of the key; the next system on the same data replaces the key.
NAME: Final = "up"
#: Lifetime of the key, because a killed process does not revoke it.
EXPIRES_NS: Final = 7 * 86_400 * 10**9
REVOKE_S: Final = 2.0


@asynccontextmanager
async def page_with_key(http: HttpAddress, bus: Bus) -> AsyncIterator[str]:
    """Yield the URL of the page with a key of the operator; exit revokes the key.

    Browsers do not send the fragment after ``#``; the page signs in with it and removes it.
    """
    keys = await bus.log.bucket(storage.KV_KEYS)
    expires_ns = time.time_ns() + EXPIRES_NS
    audit = AuditLog(bus.log)
    operator = Caller(user=Role.OPERATOR)
    await audit.record(AuditAction.KEY_ADDED, "key", NAME, caller=operator)
    key = await add_key(
        keys, NAME, Role.OPERATOR, Role.OPERATOR, expires_ns=expires_ns, replace=True
    )
    try:
        yield f"{http.page}#key={key}"
    finally:
        with anyio.move_on_after(REVOKE_S, shield=True), suppress(BusError, ContractError):
            await audit.record(AuditAction.KEY_REVOKED, "key", NAME, caller=operator)
            await keys.delete(NAME)
