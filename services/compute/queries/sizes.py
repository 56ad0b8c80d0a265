"""How large an answer is, as the request tells before any work."""

from __future__ import annotations

import math

from schemas.errors import Unprocessable
from schemas.limits import MAX_OUTPUT_CELLS, MAX_SCALES
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
    """Return the number of scales, which is one more than J.

    Raises
    ------
    Unprocessable
        J is left to the service, and there would be more scales than are possible.
    """
    if request.J != -1:
        return request.J + 1
    smallest = smallest_scale(request)
    octaves = math.log2(max(sample_count(request) * request.dt / smallest, 1.0))
    count = octaves / request.dj
    if not count < MAX_SCALES - 1:
        problem = (
            f"{octaves:.4g} octaves at dj={request.dj:g} are more than {MAX_SCALES} scales: "
            "raise dj or s0, or say how many scales with J"
        )
        raise Unprocessable.of({"dj": problem})
    return max(round(count), 0) + 1


def smallest_scale(request: TransformRequest) -> float:
    """Return s0 in seconds, also where the request leaves it to the wavelet.

    Raises
    ------
    Unprocessable
        There is no such wavelet, or the numbers have no room for the scale.
    """
    if request.s0 != -1:
        return request.s0
    try:
        found = 2 * request.dt / wavelet_of(request.mother, request.param).fourier_factor
    except OverflowError:
        raise Unprocessable.of({"param": f"{request.param:g} is too large"}) from None
    except ValueError as error:
        raise Unprocessable.of({"param": str(error)}) from None
    if not 0 < found < math.inf:
        problem = f"{request.dt:g} leaves no room for a smallest scale: use another unit of time"
        raise Unprocessable.of({"dt": problem})
    return found
