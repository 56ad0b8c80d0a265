"""Whatever is asked, the answer is a reply or a clear refusal, and the log stays quiet."""

from __future__ import annotations

import math
from typing import Any

import anyio
import msgpack  # type: ignore[import-untyped]
import orjson
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cwt_compute.app import ComputeService
from cwt_compute.queries.cache import LevelCache
from cwt_compute.settings import ComputeSettings
from cwt_runtime.bus import Message
from cwt_runtime.process.lifecycle import Context, Stop
from cwt_runtime.rpc.admission import Admission
from cwt_runtime.rpc.endpoint import Endpoint, Reply, answer
from cwt_runtime.rpc.micro import Identity
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import Log
from cwt_schemas.codec import ContentType, decode
from cwt_schemas.errors import ErrorBody, ErrorCode
from cwt_schemas.headers import ACCEPT, CONTENT_TYPE, SERVICE_ERROR, SERVICE_ERROR_CODE
from tests.memory_bus import MemoryBus
from tests.thorough import cases

# pytest's own filters replace the one of cwt_compute.queries.
pytestmark = pytest.mark.filterwarnings("ignore::pycwt_mod.NyquistWarning")

N = 24
SIGNAL = [math.sin(i) + (i * 7 % 5) for i in range(N)]
COMMON = {"dt": 1.0, "dj": 0.5, "J": 3}
VALID: dict[str, dict[str, Any]] = {
    "cwt": {"data": SIGNAL, **COMMON},
    "xwt": {"signal1": SIGNAL, "signal2": SIGNAL[::-1], **COMMON},
    "wct": {"signal1": SIGNAL, "signal2": SIGNAL[::-1], **COMMON, "mc_count": 1},
    "significance": {"al1": 0, "al2": 0.5, **COMMON, "s0": 2, "mc_count": 1},
    "benchmark": {"signal_length": 32, "mc_count": 1},
    "schema": {"name": "query.cwt/1"},
    "backend": {"name": "sequential"},
}
#: The sender's fault, or a size that the sender can mend.
REFUSALS = {ErrorCode.BAD_REQUEST, ErrorCode.NOT_FOUND, ErrorCode.UNPROCESSABLE,
            ErrorCode.PAYLOAD_TOO_LARGE}  # fmt: skip
OPTIONS = {
    "dt", "dj", "s0", "J", "mother", "param", "convention", "dtype", "seed", "backend", "fallback",
    "method", "mc_count", "significance_level", "data", "signal1", "signal2", "al1", "name", "x",
}  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([0, -1, 1e308, 5e-324, 1e-300, "table", "dog", "paul", "pycwt", "float32"])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(["re", "im", "dtype"]), inner)
    ),
    max_leaves=6,
)
headers = st.dictionaries(
    st.sampled_from([CONTENT_TYPE, ACCEPT, "Other"]),
    st.sampled_from([*ContentType, "text/html", "", "application/json; charset=utf-8"]),
)
often = settings(
    max_examples=cases(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Asker:
    """One worker's endpoints, asked without a server between."""

    def __init__(self) -> None:
        bus = MemoryBus()
        log = Log(structlog.get_logger())
        identity = Identity(name="compute", id="compute-1", version="1", description="")
        context = Context(bus=bus, identity=identity, log=log, stop=Stop())
        self._bus, self._log, self._context = bus, log, context

    def __call__(self, op: str, body: bytes, headers: dict[str, str]) -> tuple[Reply, list[Any]]:
        async def ask() -> Reply:
            await self._bus.log.declare(system_topology(StorageSettings()))
            async with anyio.create_task_group() as writing:
                levels = LevelCache(self._bus.log, writing)
                admission = Admission()
                service = ComputeService(self._context, ComputeSettings(), levels, admission)
                found: dict[str, Endpoint] = {each.name: each for each in service.endpoints()}
                message = Message(subject=f"cwt.query.{op}", data=body, headers=headers)
                reply = await answer(found[op], message, self._log, self._bus, admission)
            return reply  # noqa: RET504 - once all is written

        with structlog.testing.capture_logs() as records:
            return anyio.run(ask), records


@pytest.fixture(scope="module")
def ask() -> Asker:
    return Asker()


def check(reply: Reply, records: list[Any]) -> None:
    """A reply, or a refusal that says what is wrong: in the body, the headers, and one record."""
    if reply.error is None:
        assert records == []
        return
    kind = ContentType(reply.headers[CONTENT_TYPE])
    error = decode(ErrorBody, reply.data, kind).error
    (record,) = records
    assert (record["event"], record["log_level"]) == ("request_refused", "debug")
    assert record["code"] == error.code
    assert error.code in REFUSALS, error
    assert len(error.message) > 5
    assert reply.headers[SERVICE_ERROR]
    assert reply.headers[SERVICE_ERROR_CODE] == str(error.code.status)


def encoded(tree: object, given: dict[str, str]) -> bytes:
    if given.get(CONTENT_TYPE) == ContentType.MSGPACK:
        return bytes(msgpack.packb(tree))
    return orjson.dumps(tree)


def small(tree: Any) -> Any:
    """JSON's integers have 64 bits, here and in msgpack."""
    match tree:
        case bool():
            return tree
        case int():
            return max(min(tree, 2**63 - 1), -(2**63))
        case list():
            return [small(each) for each in tree]
        case dict():
            return {key: small(each) for key, each in tree.items()}
        case _:
            return tree


@pytest.mark.slow
@often
@given(op=st.sampled_from(sorted(VALID)), body=st.binary(max_size=60), headers=headers)
def test_any_bytes_get_a_clear_answer(
    ask: Asker, op: str, body: bytes, headers: dict[str, str]
) -> None:
    check(*ask(op, body, headers))


@often
@given(op=st.sampled_from(sorted(VALID)), tree=values, headers=headers)
def test_any_value_gets_a_clear_answer(
    ask: Asker, op: str, tree: object, headers: dict[str, str]
) -> None:
    check(*ask(op, encoded(small(tree), headers), headers))


@often
@given(
    op=st.sampled_from(sorted(VALID)),
    changes=st.dictionaries(st.sampled_from(sorted(OPTIONS)), values, min_size=1, max_size=3),
    without=st.sets(st.sampled_from(sorted(OPTIONS)), max_size=1),
    headers=headers,
)
def test_any_change_to_a_good_request_gets_a_clear_answer(
    ask: Asker,
    op: str,
    changes: dict[str, Any],
    without: set[str],
    headers: dict[str, str],
) -> None:
    if op == "benchmark":
        changes = {name: each for name, each in changes.items() if name != "mc_count"}
    if op in {"wct", "significance"} and isinstance(changes.get("mc_count"), int):
        changes["mc_count"] = min(changes["mc_count"], 3)
    tree = {name: each for name, each in (VALID[op] | changes).items() if name not in without}
    check(*ask(op, encoded(small(tree), headers), headers))


edges = st.sampled_from([5e-324, 1e-300, 1e-9, 0.1, 0.5, 1.0, 2.5, 6.0, 1e3, 1e9, 1e300, 1.7e308])


@often
@given(
    op=st.sampled_from(["cwt", "xwt", "wct"]),
    mother=st.sampled_from(["morlet", "paul", "dog"]),
    numbers=st.dictionaries(st.sampled_from(["dt", "dj", "s0", "param"]), edges),
)
def test_numbers_at_the_edge_get_a_clear_answer_where_the_scales_follow_from_them(
    ask: Asker, op: str, mother: str, numbers: dict[str, float]
) -> None:
    """An order that a wavelet cannot have, and scales without end, were faults of the service."""
    given = {name: each for name, each in VALID[op].items() if name != "J"}
    check(*ask(op, orjson.dumps({**given, "mother": mother, **numbers}), {}))


@pytest.mark.parametrize(
    ("fields", "blamed"),
    [
        ({"mother": "paul", "param": 2.5}, "param"),
        ({"mother": "paul", "param": 2.5, "J": 3}, "param"),
        ({"mother": "morlet", "param": 0.5, "J": 3}, "param"),
        ({"mother": "dog", "param": 1000}, "param"),
        ({"param": 1e300}, "param"),
        ({"dj": 1e-9}, "dj"),
        ({"s0": 1e-300, "dt": 1e300}, "dj"),
    ],
)
def test_the_field_at_fault_is_named(ask: Asker, fields: dict[str, object], blamed: str) -> None:
    reply, _ = ask("cwt", orjson.dumps({"data": SIGNAL, "dt": 1, **fields}), {})
    error = decode(ErrorBody, reply.data, ContentType.JSON).error
    assert error.code is ErrorCode.UNPROCESSABLE
    found = (error.detail or {})["fields"]
    assert isinstance(found, dict)
    assert list(found) == [blamed]


def test_a_good_request_is_answered(ask: Asker) -> None:
    for op, tree in VALID.items():
        reply, records = ask(op, orjson.dumps(tree), {})
        assert reply.error is None, reply.error
        assert records == []
