"""The client whose request is being answered, as its reply subject identifies it.

A NATS client gives each of its requests a reply subject under its own prefix, such as
``_INBOX.<connection>.<request>``. So the part before the last token is the same for all requests of
one connection, and differs between connections. It does not authenticate a client, which may name
any reply subject: it serves to share a device fairly, not to protect it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["client_id", "client_id_of", "request_from"]

_CLIENT_ID: ContextVar[str] = ContextVar("client_id", default="")


def client_id_of(reply: str | None) -> str:
    """Return the prefix of all reply subjects of one connection; empty without a reply.

    Examples
    --------
    >>> client_id_of("_INBOX.Xk2v9T.17")
    '_INBOX.Xk2v9T'
    """
    return (reply or "").rpartition(".")[0]


@contextmanager
def request_from(reply: str | None) -> Iterator[None]:
    """Have `client_id` return the client that waits at `reply` while the context is open."""
    token = _CLIENT_ID.set(client_id_of(reply))
    try:
        yield
    finally:
        _CLIENT_ID.reset(token)


def client_id() -> str:
    """Return the client whose request this task answers; empty outside of a request."""
    return _CLIENT_ID.get()
