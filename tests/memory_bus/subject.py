"""Subject matching as NATS does it: ``*`` is one token, a final ``>`` is one or more."""

from __future__ import annotations

__all__ = ["matches"]


def matches(pattern: str, subject: str) -> bool:
    """Return whether `subject` is among those that `pattern` stands for."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(
        token in ("*", other) for token, other in zip(wanted, given, strict=True)
    )
