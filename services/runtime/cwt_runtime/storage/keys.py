"""Create and revoke keys of HTTP clients, which are stored as hashes in a bucket.

The bucket contains a `KeyRecord` under the name of each key. Gateways watch the bucket, so each of
them refuses a revoked key within milliseconds.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Final

from cwt_runtime.bus import Bucket
from cwt_runtime.bus.errors import RevisionConflictError
from cwt_schemas.access import KeyRecord, Role
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import Conflict, ContractError, NotFound

__all__ = ["KEY_PREFIX", "add_key", "digest_of", "list_keys", "record_of", "revoke_key"]

#: Prefix that identifies a key to people and to tools that search files for secrets.
KEY_PREFIX: Final = "cwt_"
#: Number of random bytes in a key; enough to prevent guessing.
KEY_BYTES: Final = 32


def digest_of(key: str) -> str:
    """Return the hash that identifies a key, 64 hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()


async def add_key(
    bucket: Bucket,
    name: str,
    role: Role,
    user: str,
    *,
    expires_ns: int | None = None,
    replace: bool = False,
) -> str:
    """Create a key, store its hash, and return the key, which cannot be read later.

    Parameters
    ----------
    name
        Name of the key, for `revoke_key`.
    role, user
        Role and user of the bus with which requests with this key act.
    expires_ns
        Expiry, nanoseconds UTC; None: never.
    replace
        Whether to replace, and so revoke, an existing key of the same name.

    Raises
    ------
    Conflict
        A key of that name exists, and `replace` is False.
    """
    key = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    record = KeyRecord(
        name=name,
        role=role,
        user=user,
        digest=digest_of(key),
        created_ns=time.time_ns(),
        expires_ns=expires_ns,
    )
    body = encode(record, ContentType.JSON)
    if replace:
        await bucket.put(name, body)
        return key
    try:
        await bucket.replace(name, body, 0)
    except RevisionConflictError:
        raise Conflict(f"a key is called {name}: revoke it first, or use another name") from None
    return key


async def list_keys(bucket: Bucket) -> tuple[KeyRecord, ...]:
    """Return the records of all keys, sorted by name; unreadable values are omitted."""
    entries = [(name, await bucket.get(name)) for name in await bucket.keys()]
    records = [record_of(name, entry.value) for name, entry in entries if entry is not None]
    return tuple(record for record in records if record is not None)


async def revoke_key(bucket: Bucket, name: str) -> None:
    """Remove a key.

    Raises
    ------
    NotFound
        There is no key of that name.
    """
    if await bucket.get(name) is None:
        raise NotFound(f"no key is called {name}; `pycwt-mod key list` shows all")
    await bucket.delete(name)


def record_of(name: str, value: bytes | None) -> KeyRecord | None:
    """Decode a value of the bucket; return None if it was removed or is unreadable."""
    if value is None:
        return None
    try:
        record = decode(KeyRecord, value, ContentType.JSON)
    except ContractError:
        return None
    return record if record.name == name else None
