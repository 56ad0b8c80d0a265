"""Estimated cost and reply size of a query, computed from the request.

Costs are seconds of one core of about 2020, fitted to measurements
(`docs/decisions/0025-admission.md`). They order queries and bound queues, so an error by a factor
of two is acceptable. The cost of a transform is proportional to its cells. The cost of a simulation
is proportional to rows times pairs, independent of the length of the signals, because each octave
is simulated at its own rate.
"""

from __future__ import annotations

import math

from cwt_runtime.analysis import wavelet_of
from cwt_schemas.errors import Unprocessable
from cwt_schemas.limits import MAX_OCTAVE, MAX_OUTPUT_CELLS, MAX_QUERY_COST_S, MAX_SCALES
from cwt_schemas.message import Message
from cwt_schemas.query import (
    BenchmarkRequest,
    CwtRequest,
    JointRequest,
    MwctRequest,
    PairRequest,
    PwctRequest,
    SignificanceRequest,
    TransformRequest,
    WctRequest,
    XwtRequest,
)
from cwt_schemas.subjects import job

__all__ = [
    "MAX_COMPUTE_BYTES",
    "check_simulation",
    "cost_s",
    "output_cells",
    "reply_bytes",
    "reply_numbers",
    "scale_count",
    "should_cache",
    "should_coalesce",
    "simulated_pairs",
    "simulation_cost_s",
]

#: Memory limit of one query in a worker. A reply that fits a message needs far less.
MAX_COMPUTE_BYTES = MAX_OUTPUT_CELLS * 16
#: Constant cost of a query: decoding, planning, overhead of numpy.
CALL_S = 1e-3
#: Cost of a transform per cell, seconds.
CWT_CELL_S = 12e-9
XWT_CELL_S = 40e-9
WCT_CELL_S = 70e-9
#: The same of a coherence of several signals, per signal squared.
JOINT_CELL_S = 100e-9
#: Cost of a simulated row: per task among which the pairs are divided, and per pair.
ROW_TASK_S = 65e-6
ROW_PAIR_S = 13e-6
#: Tasks among which the pairs of an octave are divided (`significance.simulation.CHUNKS`).
ROW_TASKS = 20
#: Cost of reading a reply from the store: round trips, and transfer and decoding of its bytes.
READ_S = 4e-3
READ_BYTES_PER_S = 200e6
#: A reply is cached if computing it takes this many times as long as reading it. Writing takes
#: about as long as reading, so a cached reply that is never read costs at most a twentieth.
KEPT_FACTOR = 20
#: Above this cost a query is compared with pending ones, which needs a thread and a hash of 8 MB.
SHARED_S = 0.02
#: Number of runs of a benchmark, including the untimed first one.
BENCHMARK_RUNS = 4


def cost_s(request: Message) -> float:
    """Return the estimated cost of a request, in seconds of one core."""
    match request:
        case WctRequest():
            return CALL_S + WCT_CELL_S * output_cells(request) + _level_cost_s(request)
        case JointRequest():
            joint = JOINT_CELL_S * signal_count(request) ** 2 * output_cells(request)
            return CALL_S + joint + _level_cost_s(request)
        case XwtRequest():
            return CALL_S + XWT_CELL_S * output_cells(request)
        case CwtRequest():
            return CALL_S + CWT_CELL_S * output_cells(request)
        case SignificanceRequest():
            return CALL_S + _level_cost_s(request)
        case BenchmarkRequest():
            return _benchmark_cost_s(request)
        case _:
            return 0.0


def should_coalesce(request: Message) -> bool:
    """Return whether to wait for an equal pending query instead of computing.

    Benchmarks are not coalesced, because each must measure.
    """
    return not isinstance(request, BenchmarkRequest) and cost_s(request) >= SHARED_S


def should_cache(request: Message) -> bool:
    """Return whether reading the reply from the cache is far cheaper than computing it.

    Timings are never cached.
    """
    if isinstance(request, BenchmarkRequest):
        return False
    reading_s = READ_S + reply_bytes(request) / READ_BYTES_PER_S
    return cost_s(request) > KEPT_FACTOR * reading_s


def signal_count(request: WctRequest | JointRequest | SignificanceRequest) -> int:
    """Return the number of signals, and so of noises in a simulation."""
    if not isinstance(request, JointRequest):
        return 2
    return len(request.given) + (2 if isinstance(request, PwctRequest) else 1)


def simulated_pairs(request: WctRequest | JointRequest | SignificanceRequest) -> int:
    """Return how many pairs of noises take as long as the surrogates of a request.

    The spectra of k noises and of their pairs are k² reals, those of two are 4.
    """
    return request.mc_count * max(4, signal_count(request) ** 2) // 4


def simulation_cost_s(rows: int, pairs: int) -> float:
    """Return the cost of simulating `pairs` surrogate pairs in `rows`, in seconds of one core."""
    return rows * (ROW_TASK_S * min(pairs, ROW_TASKS) + ROW_PAIR_S * pairs)


def check_simulation(
    *, rows: int, dj: float, mc_count: int, max_cost_s: float = MAX_QUERY_COST_S, runs: int = 1
) -> None:
    """Check that the cost of a simulation is within the limit.

    Raises
    ------
    Unprocessable
        The simulation is too expensive; the message contains the allowed number of pairs, and the
        subject for longer work.
    """
    if (rows - 1) * dj > MAX_OCTAVE:
        octaves = (rows - 1) * dj
        problem = f"{octaves:.4g} octaves, at most {MAX_OCTAVE} are allowed for a simulation"
        raise Unprocessable.of({"J": problem})
    cost = runs * simulation_cost_s(rows, mc_count)
    if cost <= max_cost_s:
        return
    possible = int((max_cost_s / runs / rows - ROW_TASK_S * ROW_TASKS) / ROW_PAIR_S)
    where = job("submit")
    problem = (
        f"{mc_count} pairs of {rows} scales take about {cost:.0f} s, at most {max_cost_s:g} s are "
        f"allowed, which is {max(possible, 0)} pairs. Set method to table, which needs no "
        f"simulation, or send long work to {where}"
    )
    raise Unprocessable(
        f"mc_count: {problem}",
        {
            "fields": {"mc_count": problem},
            "cost_s": cost,
            "limit_s": max_cost_s,
            "subject": where,
        },
    )


def _level_cost_s(request: WctRequest | JointRequest | SignificanceRequest) -> float:
    if request.significance_level is None or request.method == "table":
        return 0.0
    rows = scale_count(request) if isinstance(request, TransformRequest) else request.J + 1
    return simulation_cost_s(rows, simulated_pairs(request))


def _benchmark_cost_s(request: BenchmarkRequest) -> float:
    rows = 4 * max(request.signal_length, 2).bit_length()
    one = WCT_CELL_S * rows * request.signal_length + simulation_cost_s(rows, request.mc_count)
    return BENCHMARK_RUNS * (len(request.backends) + 1) * one


def output_cells(request: TransformRequest) -> int:
    """Return scales times samples of the reply; fields with -1 follow the rules of pycwt."""
    return scale_count(request) * sample_count(request)


def reply_numbers(request: Message) -> int:
    """Return the approximate number of values in the reply; 0 for few."""
    match request:
        case CwtRequest():  # complex
            return 2 * output_cells(request)
        case XwtRequest():  # complex, and the phase
            return 3 * output_cells(request)
        case WctRequest() | PwctRequest():
            return 2 * output_cells(request)
        case MwctRequest():
            return output_cells(request)
        case _:
            return 0


def reply_bytes(request: Message) -> int:
    """Return the size of the values of the reply in the requested dtype, bytes."""
    item = 4 if isinstance(request, TransformRequest) and request.dtype == "float32" else 8
    return item * reply_numbers(request)


def sample_count(request: TransformRequest) -> int:
    """Return the number of samples of each signal."""
    if isinstance(request, PairRequest):
        return len(request.signal1)
    if isinstance(request, JointRequest):
        return int(request.given.shape[1])
    return len(request.data) if isinstance(request, CwtRequest) else 0


def scale_count(request: TransformRequest) -> int:
    """Return the number of scales, which is J + 1.

    Raises
    ------
    Unprocessable
        J is -1, and the default number of scales exceeds the limit.
    """
    if request.J != -1:
        return request.J + 1
    smallest = smallest_scale(request)
    octaves = math.log2(max(sample_count(request) * request.dt / smallest, 1.0))
    count = octaves / request.dj
    if not count < MAX_SCALES - 1:
        problem = (
            f"{octaves:.4g} octaves at dj={request.dj:g} are more than {MAX_SCALES} scales: "
            "raise dj or s0, or set the number of scales with J"
        )
        raise Unprocessable.of({"dj": problem})
    return max(round(count), 0) + 1


def smallest_scale(request: TransformRequest) -> float:
    """Return s0 in seconds, or its default for the wavelet if the request has -1.

    Raises
    ------
    Unprocessable
        The wavelet does not exist, or the scale is out of range.
    """
    if request.s0 != -1:
        return request.s0
    try:
        scale = 2 * request.dt / wavelet_of(request.mother, request.param).fourier_factor
    except OverflowError:
        raise Unprocessable.of({"param": f"{request.param:g} is too large"}) from None
    except ValueError as error:
        raise Unprocessable.of({"param": str(error)}) from None
    if not 0 < scale < math.inf:
        problem = f"{request.dt:g} puts the smallest scale out of range: use another unit of time"
        raise Unprocessable.of({"dt": problem})
    return scale
