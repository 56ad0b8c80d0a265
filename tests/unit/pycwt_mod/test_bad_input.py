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
    inside_cone,
    multirate,
    rednoise,
    scale_average,
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
    ("dof has dtype", lambda: significance(1.0, 1.0, [2.0, 4.0], 1, dof="a")),
    ("freqs has dtype", lambda: inside_cone(["a"], [1.0])),
    ("dof.*none", lambda: significance(1.0, 1.0, [2.0, 4.0], 2, dof=[9, 10])),
    ("sigma_test=3", lambda: significance(1.0, 1.0, [2.0], 3)),  # type: ignore[arg-type]
    ("sigma_test=3", lambda: significance([1.0] * 9, 1.0, [2.0], 3)),  # type: ignore[arg-type]
    ("mc_count=0", lambda: wct_significance(0.1, 0.1, 1, 0.5, 2, 4, mc_count=0)),
    ("al1=1", lambda: wct_significance(1, 0.1, 1, 0.5, 2, 4)),
    ("backend='gpu'", lambda: wct_significance(0.1, 0.1, 1, 0.5, 2, 4, backend="gpu")),
    ("seed=2 and rng=1", lambda: wct_significance(0.1, 0.1, 1, 0.5, 2, 4, rng=1, seed=2)),
    ("N=0", lambda: rednoise(0, 0.5)),
    ("g=1", lambda: rednoise(5, 1)),
    ("signal", lambda: multirate([], 1.0)),
    ("signal.*infinite", lambda: multirate([1.0, -np.inf], 1.0)),
    ("signal.*shape", lambda: cwt(3.0, 1.0)),
    ("axis=2 must be an axis of y1", lambda: xwt(np.ones((3, 64)), Y, 1.0, axis=2)),
    ("axis=5 must be an axis of signal", lambda: cwt(np.ones((3, 64)), 1.0, axis=5)),
    ("dt=nan", lambda: cwt(X, np.nan)),
    ("dt=0", lambda: xwt(X, Y, 0)),
    ("dj=-1", lambda: wct(X, Y, 1.0, -1)),
    ("s0=0", lambda: wct(X, Y, 1.0, s0=0)),
    ("J=nan", lambda: cwt(X, 1.0, J=np.nan)),
    ("J=inf", lambda: cwt(X, 1.0, J=np.inf)),
    ("s0=80 is larger than the record", lambda: cwt(X, 1.0, s0=80)),
    ("max_bytes", lambda: multirate(X, 1.0, max_bytes=10)),
    ("largest of the scales", lambda: cwt(X, 1.0, 1.0, J=2000)),
    ("pad_to=64.5", lambda: cwt(X, 1.0, pad_to=64.5)),  # type: ignore[arg-type]
    ("workers=nan", lambda: cwt(X, 1.0, workers=np.nan)),  # type: ignore[arg-type]
    ("y1.*complex", lambda: xwt(X * 1j, Y, 1.0)),
    ("y2.*only NaN", lambda: wct(X, np.full(64, np.nan), 1.0)),
    ("y2.*infinite", lambda: xwt(X, np.full(64, np.inf), 1.0)),
    ("wavelet='haar'", lambda: wct_significance(0.1, 0.1, 1, 0.5, 2, 4, wavelet="haar")),
    ("wavelet='haar'", lambda: significance(1.0, 1.0, [2.0], wavelet="haar")),
    ("dt=0", lambda: significance(1.0, 0.0, [2.0])),
    ("dt=-1", lambda: wct_significance(0.1, 0.1, -1, 0.5, 2, 4)),
    ("dj=0", lambda: wct_significance(0.1, 0.1, 1, 0, 2, 4)),
    ("s0=-1", lambda: wct_significance(0.1, 0.1, 1, 0.5, -1, 4)),
    ("J=-1", lambda: wct_significance(0.1, 0.1, 1, 0.5, 2, -1)),
    ("J=1000000000", lambda: wct_significance(0.1, 0.1, 1, 0.5, 2, 10**9)),
    ("largest of the scales", lambda: wct_significance(0.1, 0.1, 1, 1.0, 2, 5000)),
    ("level=1.5", lambda: wct_significance(0.1, 0.1, 1, 0.5, 2, 4, 1.5)),
    ("mc_count=2.5", lambda: wct_significance(0.1, 0.1, 1, 0.5, 2, 4, mc_count=2.5)),  # type: ignore[arg-type]
    ("dt=0", lambda: icwt(np.ones((3, 5)), np.ones(3), 0.0)),
    ("dj=nan", lambda: icwt(np.ones((3, 5)), np.ones(3), 1.0, np.nan)),
    ("signal.*constant", lambda: significance(np.ones(64), 1.0, [2.0])),
    ("mask has shape", lambda: scale_average(np.ones((2, 9)), [1, 2], 1, 1, (1, 2), mask=[True])),
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
    with pytest.raises(ValueError, match=rf"\b16\d+ bytes.*{MEMORY_LIMIT_BYTES}"):
        cwt(np.zeros(n), 1.0, 1 / 100, 2.0, 1000)
    with pytest.raises(ValueError, match="max_bytes"):
        wct(X, Y, 1.0, max_bytes=1000)
    with pytest.raises(ValueError, match=r"spectrum.*\b8\d+ bytes"):
        cwt(X, 1.0, pad_to=10**12)
    with pytest.raises(ValueError, match=r"noise.*8000000000000 bytes"):
        rednoise(10**12, 0.5)
