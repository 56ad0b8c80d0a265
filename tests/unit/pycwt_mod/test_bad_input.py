"""Bad input is refused with a ValueError that names the argument."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pycwt_mod import (
    Morlet,
    VoiceGrid,
    cwt,
    icwt,
    rednoise,
    significance,
    wct,
    wct_significance,
    xwt,
)
from pycwt_mod.arrays import MEMORY_LIMIT_BYTES

X = rednoise(64, 0.3, rng=1)
Y = rednoise(64, 0.3, rng=2)

CASES: list[tuple[str, Callable[[], object]]] = [
    ("signal", lambda: cwt([], 1.0)),
    ("signal", lambda: cwt([1.0], 1.0)),
    ("signal.*NaN", lambda: cwt([np.nan, np.nan], 1.0)),
    ("signal.*infinite", lambda: cwt([1.0, np.inf, 2.0], 1.0)),
    ("signal.*complex", lambda: cwt(X * 1j, 1.0)),
    ("signal.*dtype", lambda: cwt(["a", "b"], 1.0)),
    ("dt=0", lambda: cwt(X, 0)),
    ("dt=-1", lambda: cwt(X, -1)),
    ("dj=0", lambda: cwt(X, 1.0, 0)),
    ("s0=-3", lambda: cwt(X, 1.0, s0=-3)),
    ("J=-2", lambda: cwt(X, 1.0, J=-2)),
    ("J=", lambda: cwt(X, 1.0, J=10**9)),
    ("freqs", lambda: cwt(X, 1.0, freqs=[0.1, -0.1])),
    ("pad_to=10", lambda: cwt(X, 1.0, pad_to=10)),
    ("wavelet='haar'", lambda: cwt(X, 1.0, wavelet="haar")),
    ("wavelet=3", lambda: cwt(X, 1.0, wavelet=3)),  # type: ignore[arg-type]
    ("convention='x'", lambda: cwt(X, 1.0, convention="x")),  # type: ignore[arg-type]
    ("W has shape", lambda: icwt(np.ones((3, 5)), np.ones(4), 1.0)),
    ("y1 has 64 samples and y2 63", lambda: xwt(X, Y[1:], 1.0)),
    ("y2 is constant", lambda: xwt(X, np.ones(64), 1.0)),
    ("y1 is constant", lambda: wct(np.ones(64), Y, 1.0)),
    ("significance_level=1", lambda: xwt(X, Y, 1.0, significance_level=1)),
    ("significance_level=0", lambda: wct(X, Y, 1.0, significance_level=0)),
    ("significance_level=2", lambda: significance(1.0, 1.0, [2.0], significance_level=2)),
    ("scales", lambda: significance(1.0, 1.0, [-2.0])),
    ("variance", lambda: significance(-1.0, 1.0, [2.0])),
    ("alpha=1", lambda: significance(1.0, 1.0, [2.0], alpha=1)),
    ("dof", lambda: significance(1.0, 1.0, [2.0, 4.0], 1, dof=[1.0, 2.0, 3.0])),
    ("dof", lambda: significance(1.0, 1.0, [2.0, 4.0], 2, dof=7)),
    ("dof.*none", lambda: significance(1.0, 1.0, [2.0, 4.0], 2, dof=[9, 10])),
    ("sigma_test=3", lambda: significance(1.0, 1.0, [2.0], 3)),  # type: ignore[arg-type]
    ("mc_count=0", lambda: wct_significance(0.1, 0.1, 1, 0.5, 2, 4, mc_count=0)),
    ("al1=1", lambda: wct_significance(1, 0.1, 1, 0.5, 2, 4)),
    ("backend='gpu'", lambda: wct_significance(0.1, 0.1, 1, 0.5, 2, 4, backend="gpu")),
    ("two names", lambda: wct_significance(0.1, 0.1, 1, 0.5, 2, 4, rng=1, seed=2)),
    ("N=0", lambda: rednoise(0, 0.5)),
    ("g=1", lambda: rednoise(5, 1)),
    ("fmax_hz=60", lambda: grid(60)),
    ("fmin_hz", lambda: grid(0.5)),
]


def grid(fmax_hz: float) -> VoiceGrid:
    return VoiceGrid(fs_hz=100, fmin_hz=1, fmax_hz=fmax_hz, voices_per_octave=4, wavelet=Morlet())


@pytest.mark.parametrize(("names", "call"), CASES, ids=[str(i) for i in range(len(CASES))])
def test_bad_input_is_named(names: str, call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=names):
        call()


def test_results_beyond_the_memory_limit_are_refused_before_anything_is_allocated() -> None:
    n = 1_000_000
    with pytest.raises(ValueError, match=rf"would need 16\d+ bytes.*limit of {MEMORY_LIMIT_BYTES}"):
        cwt(np.zeros(n), 1.0, 1 / 100, 2.0, 1000)
    with pytest.raises(ValueError, match="max_bytes"):
        wct(X, Y, 1.0, max_bytes=1000)
