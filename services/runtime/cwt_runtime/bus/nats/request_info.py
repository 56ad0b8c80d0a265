"""Read the header in which the server names the sender of a request from another account.

The server replaces such a header of the sender. However, it compares names exactly and does not
validate header blocks, while the driver parses blocks leniently: it strips white space around
names, uses the last of several lines, and skips unreadable lines. The header is therefore read from
the raw block, which must contain it exactly once.
"""

from __future__ import annotations

import re
from typing import Final

from cwt_schemas.headers import REQUEST_INFO

__all__ = ["with_request_info"]

_NAME: Final = re.compile(re.escape(REQUEST_INFO.encode()), re.IGNORECASE)
_LINE: Final = re.compile(rb"\r\n%s:([^\r\n]*)\r\n" % re.escape(REQUEST_INFO.encode()))


def with_request_info(block: bytes | None, headers: dict[str, str] | None) -> dict[str, str] | None:
    """Return the driver's `headers` of `block` with the server's header about the sender.

    The header is empty if it is ambiguous, and missing only if the block does not contain its name.
    """
    mentions = _NAME.findall(block or b"")
    if not mentions:
        return headers
    lines = _LINE.findall(block or b"")
    value = lines[0].decode(errors="replace").strip() if len(mentions) == len(lines) == 1 else ""
    return {**(headers or {}), REQUEST_INFO: value}
