"""Remove credentials from server URLs, and recognise loopback hosts."""

from __future__ import annotations

import ipaddress
import re

__all__ = ["has_credentials", "is_loopback", "without_credentials"]

_CREDENTIALS = re.compile(r"(?s)^(\w+://)?.*@")


def without_credentials(urls: str) -> str:
    """Return one or several server URLs without the part before an ``@``.

    It also accepts text that is not a URL, and then removes too much rather than too little.

    >>> without_credentials("nats://user:secret@a:4222,nats://b:4222")
    'nats://a:4222,nats://b:4222'
    >>> without_credentials("user:secret@a")
    'a'
    """
    return ",".join(_CREDENTIALS.sub(r"\1", url) for url in _several(urls))


def has_credentials(urls: str) -> bool:
    """Return whether any of the URLs contains a user, a password or a token before an ``@``.

    >>> has_credentials("nats://a:4222,nats://token@b:4222")
    True
    """
    return any(_CREDENTIALS.match(url) for url in _several(urls))


def is_loopback(host: str) -> bool:
    """Return whether `host` is a loopback address, which only this machine can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _several(urls: str) -> list[str]:
    return re.split(r",(?=\w+://)", urls)
