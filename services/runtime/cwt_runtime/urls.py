"""URLs of servers as they may be shown: whoever writes one down may have put a password in it."""

from __future__ import annotations

import re

__all__ = ["without_credentials"]


def without_credentials(urls: str) -> str:
    """Return a server's URL, or several, without what stands before an ``@``.

    It also takes what is no URL at all, and then rather hides too much than too little.

    >>> without_credentials("nats://user:secret@a:4222,nats://b:4222")
    'nats://a:4222,nats://b:4222'
    >>> without_credentials("user:secret@a")
    'a'
    """
    return ",".join(
        re.sub(r"(?s)^(\w+://)?.*@", r"\1", url) for url in re.split(r",(?=\w+://)", urls)
    )
