"""How many cases a test tries: fewer at a developer's desk than in continuous integration.

``CI=true`` in the environment, as continuous integration sets it, asks for all of them.
"""

from __future__ import annotations

import os

__all__ = ["THOROUGH", "cases"]

#: True in continuous integration, where sweeps may take minutes.
THOROUGH = os.environ.get("CI") == "true"
#: Of random cases in the usual run; hypothesis tries simple and extreme values first.
SHARE = 5
FEWEST = 5


def cases(thorough: int) -> int:
    """Return how many random cases to try of the `thorough` ones of continuous integration."""
    return thorough if THOROUGH else min(thorough, max(thorough // SHARE, FEWEST))
