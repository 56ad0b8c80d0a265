"""The header in which the server names the sender of a request from another account.

The server replaces such a header of the sender by its own. But it compares names exactly and does
not check header blocks, and the driver reads blocks leniently: it strips white space around names,
takes the last of several lines, and skips what it cannot read. So the header is taken from the
block as it came, which must have exactly one.
"""

from __future__ import annotations

import re
from typing import Final

from cwt_schemas.headers import REQUEST_INFO

__all__ = ["with_request_info"]

_NAME: Final = re.compile(re.escape(REQUEST_INFO.encode()), re.IGNORECASE)
_LINE: Final = re.compile(rb"\r\n%s:([^\r\n]*)\r\n" % re.escape(REQUEST_INFO.encode()))


def with_request_info(block: bytes | None, headers: dict[str, str] | None) -> dict[str, str] | None:
    """Return the headers that the driver has read of `block`, with the server's about the sender.

    It is empty if it is in doubt, and missing only if the block does not mention it.
    """
    mentions = _NAME.findall(block or b"")
    if not mentions:
        return headers
    lines = _LINE.findall(block or b"")
    value = lines[0].decode(errors="replace").strip() if len(mentions) == len(lines) == 1 else ""
    return {**(headers or {}), REQUEST_INFO: value}
