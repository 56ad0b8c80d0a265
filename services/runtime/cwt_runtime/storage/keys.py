"""Keys of HTTP clients: they are made and revoked here, and stored as hashes in a bucket.

The value of the bucket is a `KeyRecord` under the name of the key. Gateways watch the bucket, so a
key that is revoked is refused by each of them within milliseconds.
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

#: Marks a key, for people and for tools that look for secrets in files.
KEY_PREFIX: Final = "cwt_"
#: Nothing that can be guessed.
KEY_BYTES: Final = 32


def digest_of(key: str) -> str:
    """Return the hash by which a key is recognised, 64 hexadecimal digits."""
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
    """Store a new key and return it; it cannot be read again.

    Parameters
    ----------
    name
        Name of the key, for `revoke_key`.
    role, user
        The user of the bus that the key acts as.
    expires_ns
        When it expires, nanoseconds UTC; None: never.
    replace
        Whether a key of the same name is revoked by it.

    Raises
    ------
    Conflict
        There is a key of that name, unless `replace`.
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
    """Return the records of all keys by name; a value that cannot be read is left out."""
    entries = [(name, await bucket.get(name)) for name in await bucket.keys()]
    records = [record_of(name, entry.value) for name, entry in entries if entry is not None]
    return tuple(record for record in records if record is not None)


async def revoke_key(bucket: Bucket, name: str) -> None:
    """Remove a key.

    Raises
    ------
    NotFound
        There is none of that name.
    """
    if await bucket.get(name) is None:
        raise NotFound(f"no key is called {name}; `pycwt-mod key list` shows all")
    await bucket.delete(name)


def record_of(name: str, value: bytes | None) -> KeyRecord | None:
    """Return the record in a value of the bucket; None if it was removed or cannot be read."""
    if value is None:
        return None
    try:
        record = decode(KeyRecord, value, ContentType.JSON)
    except ContractError:
        return None
    return record if record.name == name else None
