"""What a stream, an analysis, a channel, a job or a device may be called.

A name is one token of a subject, so it has no dot, blank or wildcard.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field

from schemas.errors import Unprocessable

PATTERN: Final = "[A-Za-z0-9_-]{1,64}"

Name = Annotated[str, Field(pattern=f"^{PATTERN}$")]

_NAME: Final = re.compile(PATTERN)


def is_name(value: object) -> bool:
    """Tell whether the value can be used as a name."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def checked(value: str, what: str = "name") -> str:
    """Return the name unchanged.

    Raises
    ------
    Unprocessable
        When it is not a name; ``what`` is the field that the refusal names.
    """
    if not is_name(value):
        raise Unprocessable.of({what: "1 to 64 letters, digits, - or _ are possible"})
    return value
