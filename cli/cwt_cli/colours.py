"""Map numbers between 0 and 1 to colours, dark to bright. Pure functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RGB", "colours", "grey", "muted"]

#: RGB colours of shape (..., 3), from 0 to 255.
RGB = npt.NDArray[np.uint8]

#: Nine steps of matplotlib's viridis: perceptually uniform, also in print and for colour blindness.
STEPS = np.array(
    [
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ],
    dtype=np.float64,
)  # fmt: skip
#: Weights of R, G and B in the brightness (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114])
#: Factor on the brightness of values below their significance level.
MUTED = 0.45
#: Factor on the brightness of masked values, which are grey.
GREY = 0.35


def colours(values: npt.NDArray[np.floating[Any]]) -> RGB:
    """Return the colours (..., 3) of values (...), which are clipped to 0 to 1."""
    at = np.clip(np.nan_to_num(values), 0, 1) * (len(STEPS) - 1)
    parts = [np.interp(at, np.arange(len(STEPS)), STEPS[:, part]) for part in range(3)]
    return np.stack(parts, axis=-1).astype(np.uint8)


def muted(rgb: RGB) -> RGB:
    """Return darker and less saturated colours."""
    pale = 0.5 * rgb + 0.5 * (rgb @ LUMA)[..., None]
    return np.asarray(MUTED * pale, dtype=np.uint8)


def grey(rgb: RGB) -> RGB:
    """Return dark greys with the relative brightness of the colours."""
    return np.repeat((GREY * (rgb @ LUMA))[..., None], 3, axis=-1).astype(np.uint8)
