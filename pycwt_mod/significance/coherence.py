"""Significance of wavelet coherence by Monte Carlo simulation."""

from __future__ import annotations

import numbers
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypedDict

import numpy as np

from pycwt_mod.arrays import (
    Convention,
    check_convention,
    check_count,
    check_lag1,
    check_level,
    check_positive,
    last_row,
    warn_caller,
    warn_of_small_scales,
)
from pycwt_mod.backends import get_backend, uses_n_jobs
from pycwt_mod.conditioning import Statistic
from pycwt_mod.engine.scale_axis import geometric
from pycwt_mod.rednoise import Seed, check_seed, drawn_seed
from pycwt_mod.significance.simulation import (
    Method,
    MonteCarloLevels,
    MonteCarloPlan,
    Progress,
    simulate,
)
from pycwt_mod.significance.table.level_table import LevelTable, NotTabulated
from pycwt_mod.wavelets import WaveletLike, as_wavelet

#: A cache of thresholds; the key is (plan, significance level).
Cache: TypeAlias = MutableMapping[tuple[MonteCarloPlan, float], MonteCarloLevels]


@dataclass(frozen=True, kw_only=True)
class MonteCarlo:
    """How to simulate the threshold of a coherence: a value for `significance` of `wct`.

    Parameters
    ----------
    count : int
        Number of surrogate pairs; with `precision`, the number to begin with.
    precision : float, optional
        Standard error that every threshold must reach, see `wct_significance`.
    seed : int, SeedSequence, Generator, RandomState or None
        The same seed gives the same thresholds, bit for bit, whatever the backend and `n_jobs`.
        None takes fresh entropy.
    backend : str
        One of `list_backends`, looked up when the simulation starts.
    n_jobs : int
        Workers, if the backend has any; otherwise a UserWarning.
    cache : MutableMapping, optional
        Stores thresholds for reuse; used only with a given seed.
    progress : callable, optional
        Called as ``progress(done, total)``, counted in tasks.

    Raises
    ------
    ValueError
        If a number is out of range.
    TypeError
        If a value has an unsupported type.

    Examples
    --------
    >>> MonteCarlo(count=100, seed=1) == MonteCarlo(count=100.0, seed=1)
    True
    """

    count: int = 300
    precision: float | None = None
    seed: Seed = None
    backend: str = "sequential"
    n_jobs: int = 1
    cache: Cache | None = field(default=None, hash=False, repr=False)
    progress: Progress | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", check_count("count", self.count))
        if self.precision is not None:
            object.__setattr__(self, "precision", check_positive("precision", self.precision))
        _check_seed(self.seed)
        if not isinstance(self.backend, str):
            raise TypeError(f"cannot use backend={self.backend!r}: give a name of list_backends()")
        _check_whole(self.n_jobs)
        if not isinstance(self.cache, MutableMapping | None):
            raise TypeError(f"cannot use cache={self.cache!r}: give a mapping such as a dict")
        if self.progress is not None and not callable(self.progress):
            raise TypeError(
                f"cannot use progress={self.progress!r}: give a function of (done, total)"
            )


class SimulationOptions(TypedDict, total=False):
    """Keywords of `wct_significance` that `wct` accepts as well, one by one."""

    mc_count: int
    progress: bool | Progress
    cache: bool | Cache
    method: Method
    precision: float | None
    rng: Seed
    seed: Seed
    backend: str
    n_jobs: int


def wct_significance(
    al1: float,
    al2: float,
    dt: float,
    dj: float,
    s0: float,
    J: float,
    significance_level: float = 0.95,
    wavelet: WaveletLike = "morlet",
    mc_count: int = 300,
    progress: bool | Progress = False,
    cache: bool | Cache = False,
    *,
    convention: Convention = "standard",
    method: Method = "montecarlo",
    precision: float | None = None,
    n: int | None = None,
    rng: Seed = None,
    seed: Seed = None,
    backend: str = "sequential",
    n_jobs: int = 1,
    others: Sequence[float] = (),
    statistic: Statistic = "coherence",
) -> MonteCarloLevels:
    """Threshold of R² that unrelated red noises exceed with probability 1 - p, per scale.

    The records have `n` samples, like the signals to be tested, and the values outside the cone of
    influence are counted. A scale without such a point has the threshold of the middle of the
    record. Octaves whose scales are below n/64 do not depend on the ends: they are simulated by
    endless noise of 64 times their largest scale per pair. Where a record has few independent
    values, up to 4 times `mc_count` pairs are simulated, so that the errors of all scales are of
    the same order. `standard_error` gives these errors, and a larger `mc_count` reduces them.

    Parameters
    ----------
    al1, al2 : float
        AR(1) coefficients of the two noises, per sample.
    dt, dj, s0, J : float, float, float, int
        As given to `wct`; `s0` and `J` explicit.
    significance_level : float
        p, the significance level, between 0 and 1.
    wavelet : Wavelet or str
    mc_count : int
        Number of surrogate pairs; with `precision`, the number to begin with.
    progress : callable, optional
        Called as ``progress(done, total)``, counted in tasks; with `precision` the total grows as
        more turn out to be needed. True and False are accepted for compatibility with pycwt, and
        show nothing.
    cache : MutableMapping, optional
        Stores thresholds for reuse; used only with a given seed, since fresh entropy never repeats.
        True and False are accepted for compatibility with pycwt; no file is written.
    convention : {"standard", "pycwt"}
        "pycwt" has its boxcar in scale, and NaN at the last scale; its noise, which is white
        whatever the coefficients, isn't repeated.
    method : {"montecarlo", "table"}
        "table" looks up thresholds that were simulated in advance, in less than a millisecond and
        without a seed. Up to coefficients of 0.99 they differ by less than 0.02 (Morlet 6) or 0.05
        from those of a large simulation; at 0.999, or at 0.95 with an `n` below 100, by somewhat
        more; see docs/decisions/0011-instant-levels.md. The table covers Morlet 6, Paul 4, DOG 2
        and DOG 6, coefficients from -0.1 to 0.999, some values of `dj`, significance levels from
        0.8 to 0.995, axes so long that no scale feels both ends, and `n` from 50 on. It ignores
        `mc_count`, `progress`, `cache`, `rng`, `seed` and `backend`, and rejects `precision`.
    n : int, optional
        Samples of the signals, which `wct` passes. Without it the records have ⌈6 s_max/dt⌉
        samples, as in Grinsted's code and in pycwt. Those have more independent values at long
        periods than the signals, so the threshold is too low at periods above a fifth of the
        signals' length: at 0.3 of it, a significance level of 95 % has 17 % false positives (Morlet
        6). No effect in pycwt's convention.
    precision : float, optional
        Standard error that every threshold must reach. Octaves are simulated until theirs do, or
        until 2^20 pairs; `standard_error` and `pairs` of the result give what was reached. Not with
        ``method="table"``.
    rng, seed : int, SeedSequence, Generator, RandomState or None
        Synonyms; give only one. The same seed gives the same thresholds, bit for bit, whatever the
        backend and `n_jobs`.
    backend : str
        One of `list_backends`.
    n_jobs : int
        Workers, if the backend has any; otherwise a UserWarning.
    others : sequence of float
        AR(1) coefficients of further noises, for the other two statistics.
    statistic : {"coherence", "partial", "multiple"}
        Whose threshold: of R² of two noises; of `pwct` of the first two given `others`; of `mwct`
        of the first one with all the rest. The table has only the first.

    Returns
    -------
    MonteCarloLevels, shape (J + 1,)
        An array with `standard_error`, `pairs`, `seed`, `mc_count` and `method`.

    Raises
    ------
    ValueError
        If an argument is out of range, or the wavelet has no δj0.
    NotTabulated
        A ValueError: the table doesn't cover the arguments, see ``method``.

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
        raise ValueError(f"cannot use both {seed=} and rng={rng!r}, which are synonyms: give one")
    source = rng if rng is not None else seed
    check_convention(convention)
    dt = check_positive("dt", dt)
    plan = MonteCarloPlan(
        al1=check_lag1("al1", al1),
        al2=check_lag1("al2", al2),
        dj=check_positive("dj", dj),
        s0=check_positive("s0", s0) / dt,
        J=last_row(J),
        wavelet=as_wavelet(wavelet),
        mc_count=check_count("mc_count", mc_count),
        convention=convention,
        entropy=0 if method == "table" else entropy_of(source),
        precision=None if precision is None else check_positive("precision", precision),
        n=_own_length(n, convention),
        others=tuple(check_lag1(f"others[{k}]", lag) for k, lag in enumerate(others)),
        statistic=_checked_statistic(statistic, len(others)),
    )
    level = check_level("significance_level", significance_level)
    if method == "table":
        if precision is not None:
            raise ValueError(f"cannot use {precision=} with {method=}: use method='montecarlo'")
        if n_jobs != 1:
            warn_caller(f"{n_jobs=} has no effect: method='table' does not simulate")
        return _look_up(plan, level)
    if method != "montecarlo":
        raise ValueError(f"{method=} must be 'montecarlo' or 'table'")
    scales = geometric(plan.s0, plan.dj, plan.J) * dt
    warn_of_small_scales(1 / (plan.wavelet.fourier_factor * scales), float(scales[0]), dt)
    kept = cache if isinstance(cache, MutableMapping) and source is not None else {}
    if (plan, level) not in kept:
        report = progress if callable(progress) else None
        _check_jobs(backend, n_jobs)
        kept[plan, level] = simulate(plan, level, backend=backend, n_jobs=n_jobs, progress=report)
    # A copy, so that a caller who changes the thresholds in place does not change the cache.
    return kept[plan, level].copy()


def _checked_statistic(statistic: Statistic, others: int) -> Statistic:
    if statistic not in ("coherence", "partial", "multiple"):
        raise ValueError(f"{statistic=} must be 'coherence', 'partial' or 'multiple'")
    if others and statistic == "coherence":
        raise ValueError(f"cannot use {others} others with {statistic=}, which is of two noises")
    return statistic


def _own_length(n: int | None, convention: Convention) -> int | None:
    """Return the length of the records; pycwt's does not depend on that of the signal."""
    if n is None:
        return None
    count = check_count("n", n, least=2)
    return count if convention == "standard" else None


def _check_jobs(backend: str, n_jobs: int) -> None:
    """Warn if `n_jobs` has no effect; raise TypeError unless it is a whole number."""
    _check_whole(n_jobs)
    if n_jobs != 1 and not uses_n_jobs(get_backend(backend)):
        warn_caller(
            f"{n_jobs=} has no effect: {backend=} ignores it; use backend='joblib' for several "
            "processes"
        )


def _check_whole(n_jobs: object) -> None:
    if not isinstance(n_jobs, numbers.Integral):
        raise TypeError(f"cannot use {n_jobs=}: give a whole number, or -1 for all cores")


def _check_seed(seed: Seed) -> None:
    """Raise TypeError unless `seed` is a `Seed`, ValueError if it is a negative number."""
    check_seed("seed", seed)
    if isinstance(seed, numbers.Integral):
        check_count("seed", seed, least=0)


def entropy_of(seed: Seed) -> int:
    """Return the integer that seeds every task; drawn from fresh entropy for None."""
    _check_seed(seed)
    if isinstance(seed, np.random.RandomState):
        return drawn_seed(seed)
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**63))
    if isinstance(seed, np.random.SeedSequence):
        # The words of the state distinguish spawned sequences, which share their entropy.
        return int.from_bytes(seed.generate_state(4).tobytes(), "little")
    if seed is not None:
        return int(seed)
    fresh: Any = np.random.SeedSequence().entropy
    return int(fresh)


def _look_up(plan: MonteCarloPlan, level: float) -> MonteCarloLevels:
    if plan.statistic != "coherence":
        raise NotTabulated.because(f"it has no levels of {plan.statistic} coherence")
    table = LevelTable.of(plan.wavelet, plan.dj, plan.convention)
    r2, errors = table.record(plan.s0, plan.J, level, (plan.al1, plan.al2), plan.n)
    if plan.convention == "pycwt":
        r2[-1] = errors[-1] = np.nan
    levels = r2.view(MonteCarloLevels)
    levels.standard_error = errors
    levels.method = "table"
    return levels
