"""Warnings that point to the line of the caller's program, however deep the library is in."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

#: Whose frames are not the caller's program.
_PACKAGES = ("pycwt_mod", "pycwt_client")


class NyquistWarning(UserWarning):
    """Rows of a transform lie above the Nyquist frequency of the signal."""


class SamplingWarning(UserWarning):
    """The index of a signal says that its samples are out of order or not evenly spaced."""


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning at the innermost frame outside of the library and its client."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and _is_ours(frame):
        level += 1
        frame = frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_ours(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in _PACKAGES
