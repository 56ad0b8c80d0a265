"""With what a level of significance is simulated, if it is."""

from __future__ import annotations

from typing import NamedTuple

from pycwt_mod.backends import get_backend, uses_n_jobs
from schemas.limits import MAX_QUERY_COST_S
from schemas.query import WctRequest
from schemas.significance import SignificanceRequest
from services.compute.queries.backends import answer_backend, chosen_backend
from services.compute.queries.cost import check_simulation
from services.compute.queries.identity import content_seed

__all__ = ["Simulation", "jobs_for", "simulation_of"]


class Simulation(NamedTuple):
    """Where surrogates are simulated and from which seed; neither if none are."""

    backend: str | None
    seed: int | None


def simulation_of(
    request: WctRequest | SignificanceRequest,
    *,
    rows: int,
    max_cost_s: float = MAX_QUERY_COST_S,
) -> Simulation:
    """Return the simulation that a level of so many scales takes, its cost being bearable."""
    if request.significance_level is None or request.method == "table":
        answer_backend(request.backend)  # a wrong name is told, whether it is needed or not
        return Simulation(None, None)
    check_simulation(rows=rows, dj=request.dj, mc_count=request.mc_count, max_cost_s=max_cost_s)
    backend = chosen_backend(request.backend, fallback=request.fallback)
    return Simulation(backend, content_seed(request) if request.seed is None else request.seed)


def jobs_for(backend: str | None, n_jobs: int) -> int:
    """Return `n_jobs` for a backend that runs several jobs, and 1 for any other or for none."""
    return n_jobs if backend is not None and uses_n_jobs(get_backend(backend)) else 1
