"""How large an answer is, as the request tells before any work."""

from __future__ import annotations

import math

from schemas.limits import MAX_OUTPUT_CELLS
from schemas.message import Message
from schemas.query import CwtRequest, PairRequest, TransformRequest, WctRequest, XwtRequest
from services.runtime.analysis import wavelet_of

__all__ = [
    "MAX_COMPUTE_BYTES",
    "output_cells",
    "reply_numbers",
    "scale_count",
    "smallest_scale",
]

#: What one query may take of a worker's memory. An answer that a message can carry needs far less.
MAX_COMPUTE_BYTES = MAX_OUTPUT_CELLS * 16


def output_cells(request: TransformRequest) -> int:
    """Return scales times samples of the answer, as pycwt's rules for -1 have it."""
    return scale_count(request) * sample_count(request)


def reply_numbers(request: Message) -> int:
    """Return how many numbers the answer has; 0 for few, or as good as few."""
    match request:
        case CwtRequest():  # complex
            return 2 * output_cells(request)
        case XwtRequest():  # complex, and the phase
            return 3 * output_cells(request)
        case WctRequest():
            return 2 * output_cells(request)
        case _:
            return 0


def sample_count(request: TransformRequest) -> int:
    """Return the samples of each signal."""
    if isinstance(request, PairRequest):
        return len(request.signal1)
    return len(request.data) if isinstance(request, CwtRequest) else 0


def scale_count(request: TransformRequest) -> int:
    """Return the number of scales, which is one more than J."""
    if request.J != -1:
        return request.J + 1
    longest = max(sample_count(request) * request.dt / smallest_scale(request), 1.0)
    return max(round(math.log2(longest) / request.dj), 0) + 1


def smallest_scale(request: TransformRequest) -> float:
    """Return s0 in seconds, also where the request leaves it to the wavelet."""
    if request.s0 != -1:
        return request.s0
    return 2 * request.dt / wavelet_of(request.mother, request.param).fourier_factor
