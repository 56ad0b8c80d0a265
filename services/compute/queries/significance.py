"""The level of significance of a coherence, without signals."""

from __future__ import annotations

import time

import pycwt_mod
from pycwt_mod.significance import Cache as Levels
from schemas.limits import MAX_QUERY_COST_S
from schemas.significance import SignificanceReply, SignificanceRequest
from services.compute.queries.backends import is_exact
from services.compute.queries.refusals import library_refusals
from services.compute.queries.simulation import jobs_for, simulation_of
from services.runtime.analysis import wavelet_of

__all__ = ["answer_significance"]


def answer_significance(
    request: SignificanceRequest,
    *,
    n_jobs: int = 1,
    levels: Levels | None = None,
    max_cost_s: float = MAX_QUERY_COST_S,
) -> SignificanceReply:
    """Return the coherence that unrelated red noises rarely exceed, per scale.

    A backend that works in parallel has at most `n_jobs` jobs; levels known before are looked up
    in `levels`, and new ones kept there.
    """
    started = time.perf_counter()
    backend, seed = simulation_of(request, rows=request.J + 1, max_cost_s=max_cost_s)
    with library_refusals("s0"):
        found = pycwt_mod.wct_significance(
            request.al1,
            request.al2,
            request.dt,
            request.dj,
            request.s0,
            request.J,
            request.significance_level,
            wavelet_of(request.mother, request.param),
            request.mc_count,
            cache=levels if levels is not None and is_exact(backend or request.backend) else False,
            convention=request.convention,
            method=request.method,
            n=request.n,
            rng=seed,
            backend=backend or request.backend,
            n_jobs=jobs_for(backend, n_jobs),
        )
        return SignificanceReply(
            signif=found.astype(request.dtype),
            backend_used=backend,
            seed=seed,
            computation_time=time.perf_counter() - started,
        )
