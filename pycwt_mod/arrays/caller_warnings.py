"""Warnings that point to the line of the caller's program, however deep the library is in."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

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


def renamed(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function accept keywords by their old names too, with a DeprecationWarning.

    Type checkers see the new names only.

    Parameters
    ----------
    **names : str
        The new name of each old one.

    Raises
    ------
    ValueError
        By the decorated function, if a caller gives both names of a keyword.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old, new in names.items():
                if old not in kwargs:
                    continue
                if new in kwargs:
                    raise ValueError(f"{old}= and {new}= are two names for one thing: give {new}=")
                deprecated = f"{function.__name__}({old}=) is deprecated: use {new}="
                warn_caller(deprecated, DeprecationWarning)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def _is_ours(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in _PACKAGES
