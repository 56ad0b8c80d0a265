"""What the library refuses, as a refusal of the request's own field."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from pydantic import ValidationError

from pycwt_mod import NyquistWarning
from schemas.errors import Unprocessable

__all__ = ["library_refusals"]

# Requests choose their scales: a line on standard error for each new s0 only fills the log.
warnings.filterwarnings("ignore", category=NyquistWarning)

#: The library's names of what the request calls otherwise.
_FIELDS = {"y1": "signal1", "y2": "signal2", "signal": "data", "wavelet": "mother",
           "f0": "param", "m": "param", "param": "param"}  # fmt: skip

#: What both call the same.
_OWN_NAMES = {
    "dt", "dj", "s0", "J", "al1", "al2", "mc_count", "significance_level", "convention", "method",
}  # fmt: skip


@contextmanager
def library_refusals(signal: str) -> Iterator[None]:
    """Turn what the library or the reply refuses into a refusal of the field.

    The library's ``ValueError`` names the argument. A reply that cannot be made has values beyond
    the range of its numbers, which is `signal`'s doing; they are not warned of on the way there.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except (ValidationError, FloatingPointError):
        problem = "the result exceeds the range of the numbers: scale it, or ask for float64"
        raise Unprocessable.of({signal: problem}) from None
    except (ValueError, OverflowError) as error:
        raise Unprocessable.of(
            {field_of(str(error)): in_words_of_the_request(str(error))}
        ) from None


def in_words_of_the_request(text: str) -> str:
    """Return a message of the library with the names that the request has for its signals."""
    return re.sub(r"\by([12])\b", r"signal\1", text)


def field_of(text: str) -> str:
    """Return the field that the library blames; what the table does not cover is `method`'s.

    A message is "cannot X: reason; do Y", of which the reason begins with the argument, or the
    reason alone.
    """
    reason = text.partition(": ")[2] if text.startswith("cannot ") else text
    argument = reason.replace("=", " ").partition(" ")[0].rstrip(":,")
    if argument in _FIELDS:
        return _FIELDS[argument]
    if argument in _OWN_NAMES:
        return argument
    return "method" if "table" in text else "request"
