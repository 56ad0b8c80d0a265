"""The data files of the library: tables, and their provenance."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import read_only


@cache
def stored(file: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file of this package by name, read-only."""
    with resources.files(__package__).joinpath(file).open("rb") as opened:
        return {name: read_only(array) for name, array in np.load(opened).items()}


def provenance(file: str) -> dict[str, Any]:
    """Return the provenance of the numbers of a file: seed, pairs, versions."""
    loaded: dict[str, Any] = json.loads(str(stored(file)["provenance"]))
    return loaded
