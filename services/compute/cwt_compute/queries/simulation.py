"""Backend and seed of the simulation of significance thresholds."""

from __future__ import annotations

from typing import Any, NamedTuple

import pycwt_mod
from cwt_compute.queries.cost import check_simulation, simulated_pairs
from cwt_schemas.errors import NotFound, Unavailable
from cwt_schemas.limits import MAX_QUERY_COST_S
from cwt_schemas.message import Message, content_digest
from cwt_schemas.query import (
    BackendInfo,
    BackendsReply,
    JointRequest,
    SignificanceRequest,
    WctRequest,
)
from pycwt_mod.backends import get_backend, uses_n_jobs
from pycwt_mod.significance import Cache as Levels

__all__ = [
    "FALLBACK",
    "Levels",
    "Simulation",
    "answer_backend",
    "answer_backends",
    "chosen_backend",
    "content_seed",
    "is_exact",
    "simulation_of",
]

#: Replacement for an unavailable backend, if the request allows it.
FALLBACK = "sequential"
#: Fields that do not affect the numbers or are not part of a query (`type`, of tasks).
NOT_OF_THE_SEED = frozenset({"seed", "backend", "fallback", "type"})
#: JavaScript represents integers of up to 53 bits exactly.
SEED_BITS = 53


class Simulation(NamedTuple):
    """Backend and seed of a simulation; None if nothing is simulated."""

    backend: str | None
    seed: int | None

    def arguments(
        self,
        request: WctRequest | JointRequest | SignificanceRequest,
        *,
        n_jobs: int = 1,
        levels: Levels | None = None,
    ) -> dict[str, Any]:
        """Return the library's keyword arguments for the method, the simulation and its cache.

        Parallel backends use at most `n_jobs` jobs. Thresholds are read from and written to the
        cache `levels`, unless the backend is not exact.
        """
        backend = self.backend or request.backend
        parallel = self.backend is not None and uses_n_jobs(get_backend(self.backend))
        return {
            "mc_count": request.mc_count,
            "method": request.method,
            "rng": self.seed,
            "backend": backend,
            "n_jobs": n_jobs if parallel else 1,
            "cache": levels if levels is not None and is_exact(backend) else False,
        }


def simulation_of(
    request: WctRequest | JointRequest | SignificanceRequest,
    *,
    rows: int,
    max_cost_s: float = MAX_QUERY_COST_S,
) -> Simulation:
    """Return the simulation for the thresholds of `rows` scales, after a check of its cost."""
    if request.significance_level is None or request.method == "table":
        answer_backend(request.backend)  # reports an unknown name even if it is not used
        return Simulation(None, None)
    pairs = simulated_pairs(request)
    check_simulation(rows=rows, dj=request.dj, mc_count=pairs, max_cost_s=max_cost_s)
    backend = chosen_backend(request.backend, fallback=request.fallback)
    return Simulation(backend, content_seed(request) if request.seed is None else request.seed)


def content_seed(request: Message) -> int:
    """Return the seed for a request without a seed.

    Equal requests get equal seeds, and therefore equal replies: on every worker, as a query and as
    a task of a job.
    """
    digest = content_digest(request, without=NOT_OF_THE_SEED)
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)


def answer_backends() -> BackendsReply:
    """Return all Monte Carlo backends of this worker."""
    return BackendsReply(backends=tuple(map(_backend_info, pycwt_mod.list_backends())))


def answer_backend(name: str, listed: BackendsReply | None = None) -> BackendInfo:
    """Return one Monte Carlo backend, from the list `listed` or by querying only this backend.

    Raises
    ------
    NotFound
        There is no backend with that name.
    """
    if listed is None:
        try:
            return _backend_info(pycwt_mod.backend_info(name))
        except ValueError as error:
            raise NotFound(f"cannot use the backend: {error}") from error
    for info in listed.backends:
        if info.name == name:
            return info
    names = ", ".join(info.name for info in listed.backends)
    raise NotFound(f"backend {name} does not exist; available: {names}")


def chosen_backend(name: str, *, fallback: bool) -> str:
    """Return the backend to use: the requested one, or the fallback if the request allows it."""
    info = answer_backend(name)
    if info.available:
        return name
    if fallback:
        return FALLBACK
    raise Unavailable(
        f"backend {name} is not available: {info.error or 'no reason given'}; "
        f"send fallback: true to use {FALLBACK} instead"
    )


def is_exact(name: str) -> bool:
    """Return whether a backend gives the same numbers as the library; hardware does not."""
    return pycwt_mod.get_backend(name).type != "hardware"


def _backend_info(info: pycwt_mod.BackendInfo) -> BackendInfo:
    return BackendInfo(
        name=info.name,
        available=info.available,
        description=info.description,
        type=info.type,
        error=info.error,
    )
