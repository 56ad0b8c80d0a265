"""What can be wrong with a source."""

from __future__ import annotations

__all__ = ["MissingDriverError", "SourceError"]


class SourceError(Exception):
    """A file, a stream or a board that cannot be read; the message says why and what to do."""


class MissingDriverError(SourceError):
    """The package that reads this kind of source is not installed."""

    def __init__(self, kind: str, extra: str) -> None:
        super().__init__(f"{kind} needs a driver: pip install 'pycwt-mod[{extra}]'")
        self.extra = extra
