"""Significance of wavelet coherence by Monte Carlo simulation."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, TypeAlias

import numpy as np

from pycwt_mod.arrays import (
    Convention,
    check_convention,
    check_count,
    check_lag1,
    check_level,
    check_positive,
)
from pycwt_mod.backends import get_backend
from pycwt_mod.montecarlo.levels import MonteCarloLevels, quantile, standard_error
from pycwt_mod.montecarlo.null import run_task
from pycwt_mod.montecarlo.plan import MonteCarloPlan
from pycwt_mod.rednoise import Seed
from pycwt_mod.wavelets import Wavelet, as_wavelet

#: Called with the number of finished tasks and of all tasks.
Progress: TypeAlias = Callable[[int, int], None]
#: Keeps levels between calls; the key is (plan, level).
Cache: TypeAlias = MutableMapping[tuple[MonteCarloPlan, float], MonteCarloLevels]


def wct_significance(
    al1: float,
    al2: float,
    dt: float,
    dj: float,
    s0: float,
    J: int,
    significance_level: float = 0.95,
    wavelet: Wavelet | str = "morlet",
    mc_count: int = 300,
    progress: bool | Progress = False,
    cache: bool | Cache = False,
    *,
    convention: Convention = "standard",
    rng: Seed = None,
    seed: Seed = None,
    backend: str = "sequential",
    n_jobs: int = 1,
) -> MonteCarloLevels:
    """Level of R² that unrelated red noises exceed with probability 1 - p, per scale.

    The records have N = ⌈6 s_max/dt⌉ samples, and what lies outside the cone of influence is
    counted. Octaves whose scales are below N/64 don't feel the ends: they are simulated by
    endless noise of 64 times their largest scale per pair, not by N samples, so all scales
    have errors of the same order. `standard_error` says which, and `mc_count` lowers it.

    Parameters
    ----------
    al1, al2 : float
        AR(1) coefficients of the two noises, per sample.
    dt, dj, s0, J : float, float, float, int
        As given to `wct`; `s0` and `J` explicit.
    significance_level : float
        p, between 0 and 1.
    wavelet : Wavelet or str
    mc_count : int
        Number of surrogate pairs.
    progress : callable, optional
        Called as ``progress(done, total)``, counted in tasks. True and False are accepted
        for pycwt's sake and show nothing.
    cache : MutableMapping, optional
        Where levels are looked up and kept; used with a given seed only, since fresh
        entropy has no equal. True and False are accepted for pycwt's sake; no file is written.
    convention : {"standard", "pycwt"}
        "pycwt" has its boxcar in scale, and NaN at the last scale; its noise, which is white
        whatever the coefficients, isn't repeated.
    rng, seed : int, SeedSequence, Generator or None
        Two names for one thing. The same seed gives the same levels, bit for bit, whatever
        the backend and `n_jobs`.
    backend : str
        One of `list_backends`.
    n_jobs : int
        Workers, if the backend has any.

    Returns
    -------
    MonteCarloLevels, shape (J + 1,)
        An array with `standard_error`, `seed` and `mc_count`. NaN where a scale has no
        point outside the cone of influence.

    Raises
    ------
    ValueError
        If an argument is out of range, or the wavelet has no δj0.

    References
    ----------
    Grinsted et al. (2004), section 3.4, doi:10.5194/npg-11-561-2004

    Examples
    --------
    >>> levels = wct_significance(0.5, 0.5, 1.0, 1 / 4, 2.0, 12, mc_count=40, rng=1)
    >>> bool(0.5 < levels[4] < 0.9)
    True
    """
    if rng is not None and seed is not None:
        raise ValueError(f"{seed=} and rng={rng!r} are two names for one thing: give one")
    given = rng if rng is not None else seed
    plan = MonteCarloPlan(
        al1=check_lag1("al1", al1),
        al2=check_lag1("al2", al2),
        dj=check_positive("dj", dj),
        s0=check_positive("s0", s0) / check_positive("dt", dt),
        J=check_count("J", J, least=0),
        wavelet=as_wavelet(wavelet),
        mc_count=check_count("mc_count", mc_count),
        convention=convention,
        entropy=entropy_of(given),
    )
    check_convention(convention)
    level = check_level("significance_level", significance_level)
    kept = cache if isinstance(cache, MutableMapping) and given is not None else {}
    if (plan, level) not in kept:
        report = progress if callable(progress) else None
        kept[plan, level] = _simulate(plan, level, backend, n_jobs, report)
    return kept[plan, level]


def entropy_of(seed: Seed) -> int:
    """Return the whole number that seeds every task; drawn afresh for None."""
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**63))
    if isinstance(seed, np.random.SeedSequence):
        # The words of the state tell spawned sequences apart, which share their entropy.
        return int.from_bytes(seed.generate_state(4).tobytes(), "little")
    if seed is not None:
        return check_count("seed", seed, least=0)
    fresh: Any = np.random.SeedSequence().entropy
    return int(fresh)


def _simulate(
    plan: MonteCarloPlan, level: float, backend: str, n_jobs: int, progress: Progress | None
) -> MonteCarloLevels:
    octaves = plan.tasks()
    tasks = [task for octave in octaves for task in octave]
    histograms = []
    for histogram in get_backend(backend).map(run_task, tasks, n_jobs=n_jobs):
        histograms.append(histogram)
        if progress is not None:
            progress(len(histograms), len(tasks))
    found: list[float] = []
    errors: list[float] = []
    for octave in octaves:
        chunks = np.stack([histograms.pop(0) for _ in octave])
        for row in range(chunks.shape[1]):
            found.append(quantile(chunks[:, row].sum(axis=0), level))
            errors.append(standard_error(chunks[:, row], found[-1]))
    if plan.convention == "pycwt":
        found[-1] = errors[-1] = np.nan
    levels = np.array(found).view(MonteCarloLevels)
    levels.standard_error = np.array(errors)
    levels.seed = plan.entropy
    levels.mc_count = plan.mc_count
    return levels
