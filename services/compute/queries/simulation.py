"""With what a level of significance is simulated, if it is."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from schemas.limits import MAX_INT64
from schemas.query import LevelChoice
from services.compute.queries.backends import answer_backend, chosen_backend
from services.compute.queries.sizes import check_simulation

__all__ = ["Simulation", "simulation_of"]


class Simulation(NamedTuple):
    """Where surrogates are simulated and from which seed; neither if none are."""

    backend: str | None
    seed: int | None


def simulation_of(
    request: LevelChoice, *, wanted: bool = True, rows: int, dj: float, s0: float
) -> Simulation:
    """Return the simulation that a level takes, after its cost was found bearable.

    Parameters
    ----------
    wanted
        Whether there is to be a level at all.
    rows, dj, s0
        Number of scales, their distance in octaves, and the smallest one in samples.
    """
    if not wanted or request.method == "table":
        answer_backend(request.backend)  # a wrong name is told, whether it is needed or not
        return Simulation(None, None)
    check_simulation(rows=rows, dj=dj, s0=s0, mc_count=request.mc_count)
    backend = chosen_backend(request.backend, fallback=request.fallback)
    seed = secrets.randbelow(MAX_INT64) if request.seed is None else request.seed
    return Simulation(backend, seed)
