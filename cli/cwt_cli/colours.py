"""Numbers between 0 and 1 as colours, dark to bright; pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RGB", "colours", "grey", "muted"]

#: (..., 3) of 0 to 255.
RGB = npt.NDArray[np.uint8]

#: Nine steps of matplotlib's viridis: even in brightness, for the colour-blind and in print too.
STEPS = np.array(
    [
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ],
    dtype=np.float64,
)  # fmt: skip
#: How bright a colour is, after ITU-R BT.601.
LUMA = np.array([0.299, 0.587, 0.114])
#: What does not reach a level keeps so much of its colour and brightness.
MUTED = 0.45
#: What is masked is so bright, as grey.
GREY = 0.35


def colours(values: npt.NDArray[np.floating[Any]]) -> RGB:
    """Return the colours (..., 3) of values (...); what is outside of 0 to 1 is cut off."""
    at = np.clip(np.nan_to_num(values), 0, 1) * (len(STEPS) - 1)
    parts = [np.interp(at, np.arange(len(STEPS)), STEPS[:, part]) for part in range(3)]
    return np.stack(parts, axis=-1).astype(np.uint8)


def muted(rgb: RGB) -> RGB:
    """Return the colours darker and paler."""
    pale = 0.5 * rgb + 0.5 * (rgb @ LUMA)[..., None]
    return np.asarray(MUTED * pale, dtype=np.uint8)


def grey(rgb: RGB) -> RGB:
    """Return dim greys that are as different as the colours are."""
    return np.repeat((GREY * (rgb @ LUMA))[..., None], 3, axis=-1).astype(np.uint8)
