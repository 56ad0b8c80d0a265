"""What a question costs a worker, estimated from the request before any work.

Seconds of one core of about 2020, fitted to measurements (`docs/decisions/0025-admission.md`); they
order questions and bound queues, so a factor of two does no harm. A transform costs in proportion
to its cells. A simulation costs in proportion to rows times pairs, whatever the length of the
signals, because each octave is simulated at its own rate.
"""

from __future__ import annotations

from schemas.benchmark import BenchmarkRequest
from schemas.errors import Unprocessable
from schemas.limits import MAX_OCTAVE, MAX_QUERY_COST_S
from schemas.message import Message
from schemas.query import CwtRequest, TransformRequest, WctRequest, XwtRequest
from schemas.significance import SignificanceRequest
from schemas.subjects import job
from services.compute.queries.sizes import output_cells, reply_numbers, scale_count

__all__ = ["check_simulation", "cost_s", "should_cache", "should_coalesce", "simulation_cost_s"]

#: Of any question: decoding, plans, numpy's calls.
CALL_S = 1e-3
#: Of a scale in time, per cell.
CWT_CELL_S = 12e-9
XWT_CELL_S = 40e-9
WCT_CELL_S = 70e-9
#: Of a simulated row: of each of the tasks that share the pairs, and of each pair.
ROW_TASK_S = 65e-6
ROW_PAIR_S = 13e-6
#: Tasks that the pairs of an octave are shared among (`significance.simulation_plan.CHUNKS`).
ROW_TASKS = 20
#: Reading what was kept: round trips to the store, and its bytes over two hops and a decoder.
READ_S = 4e-3
READ_BYTES_PER_S = 200e6
NUMBER_BYTES = 8
#: How much dearer an answer has to be than reading it, and about as much than keeping it: so
#: keeping what nobody asks for again costs at most a twentieth.
KEPT_FACTOR = 20
#: From here on a question is compared with those under way: a hop to a thread, and a hash of 8 MB.
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
    """Return whether to see if the same question is being answered just now.

    Benchmarks are not shared: each one asks what it takes.
    """
    return not isinstance(request, BenchmarkRequest) and cost_s(request) >= SHARED_S


def should_cache(request: Message) -> bool:
    """Return whether an answer is so dear that reading it again is far cheaper.

    Timings are not: nobody wants those of another day.
    """
    if isinstance(request, BenchmarkRequest):
        return False
    reading_s = READ_S + NUMBER_BYTES * reply_numbers(request) / READ_BYTES_PER_S
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
        problem = f"{(rows - 1) * dj:.4g} octaves, {MAX_OCTAVE} are possible for a simulation"
        raise Unprocessable.of({"J": problem})
    cost = runs * simulation_cost_s(rows, mc_count)
    if cost <= max_cost_s:
        return
    possible = int((max_cost_s / runs / rows - ROW_TASK_S * ROW_TASKS) / ROW_PAIR_S)
    where = job("submit")
    problem = (
        f"{mc_count} pairs of {rows} scales take about {cost:.0f} s, {max_cost_s:g} s are "
        f"possible here, which is {max(possible, 0)} pairs; method: table takes none, and "
        f"{where} takes long work"
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
