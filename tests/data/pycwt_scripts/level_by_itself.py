"""The level of coherence for two lag-1 coefficients; pycwt takes its seed from numpy.random."""

import numpy as np
import pycwt
from pycwt.helpers import ar1
from pycwt.wavelet import cwt, wct_significance

np.random.seed(7)  # noqa: NPY002 - the generator that pycwt uses
x, y = np.random.randn(200), np.random.randn(200)  # noqa: NPY002
dt, dj, s0 = 1.0, 1 / 4, 2.0
_, scales, *_ = cwt(x, dt, dj, s0, 12)
alpha1, alpha2 = ar1(x)[0], ar1(y)[0]
level = wct_significance(
    float(alpha1), float(alpha2), dt, dj, s0, len(scales) - 1,
    significance_level=0.95, wavelet=pycwt.Morlet(6), mc_count=12, progress=False,
    cache=False,
)  # fmt: skip
answer = {"count": np.array([level.size])}
