"""URLs of servers without their passwords, and hosts that only this machine reaches."""

from __future__ import annotations

import ipaddress
import re

__all__ = ["has_credentials", "is_loopback", "without_credentials"]

_CREDENTIALS = re.compile(r"(?s)^(\w+://)?.*@")


def without_credentials(urls: str) -> str:
    """Return a server's URL, or several, without what stands before an ``@``.

    It also takes what is no URL at all, and then rather hides too much than too little.

    >>> without_credentials("nats://user:secret@a:4222,nats://b:4222")
    'nats://a:4222,nats://b:4222'
    >>> without_credentials("user:secret@a")
    'a'
    """
    return ",".join(_CREDENTIALS.sub(r"\1", url) for url in _several(urls))


def has_credentials(urls: str) -> bool:
    """Return whether a user, a password or a token stands before an ``@`` in any of the URLs.

    >>> has_credentials("nats://a:4222,nats://token@b:4222")
    True
    """
    return any(_CREDENTIALS.match(url) for url in _several(urls))


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _several(urls: str) -> list[str]:
    return re.split(r",(?=\w+://)", urls)
