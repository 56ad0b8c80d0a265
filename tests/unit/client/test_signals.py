"""What a program passes as samples or as a signal becomes plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pycwt_client.signals import as_samples, as_signal


@pytest.mark.parametrize(
    "values",
    [
        [1.0, None, 3.0],
        np.array([1, None, 3], object),
        pd.Series([1, pd.NA, 3], dtype="Int64"),
        np.ma.MaskedArray([1, 2, 3], [False, True, False]),
    ],
    ids=["list", "objects", "nullable Series", "masked"],
)
def test_a_missing_sample_is_sent_as_nan(values: Any) -> None:
    for found in (as_samples(values), as_signal("data", values)):
        assert found.dtype == np.float64
        assert np.array_equal(found, [1, np.nan, 3], equal_nan=True)


def test_time_comes_first_in_samples_with_labels() -> None:
    samples = np.arange(6, dtype=np.int16).reshape(3, 2)
    turned = xr.DataArray(samples.T, dims=["channel", "time"])
    for found in (as_samples(turned), as_samples(pd.DataFrame(samples))):
        assert found.dtype == np.int16
        assert np.array_equal(found, samples)


def test_big_endian_singles_are_computed_in_single_precision() -> None:
    assert as_signal("data", np.ones(3, ">f4")).dtype == np.float32
