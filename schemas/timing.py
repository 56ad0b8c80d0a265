"""When a piece of data passed through the system."""

from __future__ import annotations

from schemas.message import Count, Message


class WindowTimes(Message):
    """Times of a window, in nanoseconds UTC."""

    #: When the log took the last chunk that the window needed.
    received: Count
    windowed: Count


class ResultTimes(WindowTimes):
    """Times of a result, in nanoseconds UTC."""

    computed: Count
