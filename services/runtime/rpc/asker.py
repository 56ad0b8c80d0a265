"""Who sent the request that is being answered, as far as its reply address tells.

A NATS client gives each of its requests a reply subject of its own under a prefix of its own, such
as ``_INBOX.<connection>.<request>``. So what comes before the last token is the same for all that
one connection asks, and differs between connections. It is no proof of who it is: whoever wants to
be somebody else names another address. It serves to share fairly, not to protect.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["asked_by", "asker", "asker_of"]

_ASKER: ContextVar[str] = ContextVar("asker", default="")


def asker_of(reply: str | None) -> str:
    """Return what all reply subjects of one connection begin with; nothing without a reply.

    Examples
    --------
    >>> asker_of("_INBOX.Xk2v9T.17")
    '_INBOX.Xk2v9T'
    """
    return (reply or "").rpartition(".")[0]


@contextmanager
def asked_by(reply: str | None) -> Iterator[None]:
    """Have `asker` say, inside, who waits for an answer at `reply`."""
    token = _ASKER.set(asker_of(reply))
    try:
        yield
    finally:
        _ASKER.reset(token)


def asker() -> str:
    """Return who sent the request that this task answers; nothing outside of one."""
    return _ASKER.get()
