"""Where surrogates can be simulated."""

from __future__ import annotations

import pycwt_mod
from schemas.errors import NotFound, Unavailable
from schemas.query import BackendInfo, BackendsReply

__all__ = ["FALLBACK", "answer_backend", "answer_backends", "chosen_backend", "is_exact"]

#: What steps in for a backend that is not available, if the request allows it.
FALLBACK = "sequential"


def answer_backends() -> BackendsReply:
    """Return every Monte Carlo backend that this worker knows."""
    return BackendsReply(backends=tuple(map(_told, pycwt_mod.list_backends())))


def answer_backend(name: str, listed: BackendsReply | None = None) -> BackendInfo:
    """Return one Monte Carlo backend, of those `listed`, or as it says now; no other is asked.

    Raises
    ------
    NotFound
        There is none of that name.
    """
    if listed is None:
        try:
            return _told(pycwt_mod.backend_info(name))
        except ValueError as error:
            raise NotFound(f"no such backend: {error}") from error
    for info in listed.backends:
        if info.name == name:
            return info
    names = ", ".join(info.name for info in listed.backends)
    raise NotFound(f"no backend is called {name}; there are {names}")


def chosen_backend(name: str, *, fallback: bool) -> str:
    """Return the backend to use: the one asked for, or its stand-in where the request allows it."""
    info = answer_backend(name)
    if info.available:
        return name
    if fallback:
        return FALLBACK
    raise Unavailable(
        f"backend {name} is not available: {info.error or 'no reason given'}; "
        f"send fallback: true to take {FALLBACK} instead"
    )


def is_exact(name: str) -> bool:
    """Return whether a backend gives the numbers that every other gives: hardware does not."""
    return pycwt_mod.get_backend(name).type != "hardware"


def _told(info: pycwt_mod.BackendInfo) -> BackendInfo:
    return BackendInfo(
        name=info.name,
        available=info.available,
        description=info.description,
        type=info.type,
        error=info.error,
    )
