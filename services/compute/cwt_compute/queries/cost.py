"""What a query costs a worker and how large its reply is, both from the request alone.

Costs are seconds of one core of about 2020, fitted to measurements
(`docs/decisions/0025-admission.md`); they order queries and bound queues, so a factor of two does
no harm. A transform costs in proportion to its cells. A simulation costs in proportion to rows
times pairs, whatever the length of the signals, because each octave is simulated at its own rate.
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
    PairRequest,
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
    "simulation_cost_s",
]

#: What one query may take of a worker's memory. An answer that a message can carry needs far less.
MAX_COMPUTE_BYTES = MAX_OUTPUT_CELLS * 16
#: Of any query: decoding, plans, numpy's calls.
CALL_S = 1e-3
#: Of a scale in time, per cell.
CWT_CELL_S = 12e-9
XWT_CELL_S = 40e-9
WCT_CELL_S = 70e-9
#: Of a simulated row: of each of the tasks that share the pairs, and of each pair.
ROW_TASK_S = 65e-6
ROW_PAIR_S = 13e-6
#: Tasks that the pairs of an octave are shared among (`significance.simulation.CHUNKS`).
ROW_TASKS = 20
#: Reading a reply from the store: round trips, and its bytes over two hops and a decoder.
READ_S = 4e-3
READ_BYTES_PER_S = 200e6
#: A reply is kept if computing it takes this many times as long as reading it, and about as many
#: as writing it: keeping what nobody asks for again costs at most a twentieth.
KEPT_FACTOR = 20
#: From here on a query is compared with those under way: a hop to a thread, and a hash of 8 MB.
SHARED_S = 0.02
#: Runs of a benchmark, the first one included, which does not count.
BENCHMARK_RUNS = 4


def cost_s(request: Message) -> float:
    """Return the seconds of one core that answering takes."""
    match request:
        case WctRequest():
            return CALL_S + WCT_CELL_S * output_cells(request) + _level_cost_s(request)
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
    """Return whether to look for an equal query that is being computed.

    Benchmarks are not shared: each one asks what it takes.
    """
    return not isinstance(request, BenchmarkRequest) and cost_s(request) >= SHARED_S


def should_cache(request: Message) -> bool:
    """Return whether reading the reply again is far cheaper than computing it.

    Timings are not: nobody wants those of another day.
    """
    if isinstance(request, BenchmarkRequest):
        return False
    reading_s = READ_S + reply_bytes(request) / READ_BYTES_PER_S
    return cost_s(request) > KEPT_FACTOR * reading_s


def simulation_cost_s(rows: int, pairs: int) -> float:
    """Return the seconds of one core that so many rows of so many surrogate pairs take."""
    return rows * (ROW_TASK_S * min(pairs, ROW_TASKS) + ROW_PAIR_S * pairs)


def check_simulation(
    *, rows: int, dj: float, mc_count: int, max_cost_s: float = MAX_QUERY_COST_S, runs: int = 1
) -> None:
    """Refuse a simulation that takes too long: the service has others to answer.

    Raises
    ------
    Unprocessable
        With the number of pairs that are possible, and where longer work is taken.
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


def _level_cost_s(request: WctRequest | SignificanceRequest) -> float:
    if request.significance_level is None or request.method == "table":
        return 0.0
    rows = scale_count(request) if isinstance(request, TransformRequest) else request.J + 1
    return simulation_cost_s(rows, request.mc_count)


def _benchmark_cost_s(request: BenchmarkRequest) -> float:
    rows = 4 * max(request.signal_length, 2).bit_length()
    one = WCT_CELL_S * rows * request.signal_length + simulation_cost_s(rows, request.mc_count)
    return BENCHMARK_RUNS * (len(request.backends) + 1) * one


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


def reply_bytes(request: Message) -> int:
    """Return the bytes of those numbers, in the type that the request asks for."""
    item = 4 if isinstance(request, TransformRequest) and request.dtype == "float32" else 8
    return item * reply_numbers(request)


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
            "raise dj or s0, or set the number of scales with J"
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
