"""Replies over HTTP: their encodings, and the few that differ from those on the bus."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cwt_schemas.codec import ContentType, decode_tree, encode
from cwt_schemas.endpoints import ENDPOINTS
from cwt_schemas.errors import BadRequest
from cwt_schemas.hardware import CpuReport, DeviceReport, HardwareReply
from cwt_schemas.http import BenchmarkReport, HardwareReport, to_json, to_npz
from cwt_schemas.query import BackendTiming, BenchmarkReply
from tests.unit.schemas import strategies

REPLIES = {endpoint.reply for endpoint in ENDPOINTS.values()} & strategies.BY_MODEL.keys()
any_array = arrays.arrays(
    st.sampled_from(["<i2", "<i4", "<f4", "<f8", "<c8", "<c16"]),
    arrays.array_shapes(max_dims=2, max_side=4),
)


def plain(array: np.ndarray) -> Any:
    """The nested lists that stand for an array, made without the code under test."""
    if array.ndim:
        return [plain(each) for each in array]
    value = array.item()
    parts = [value.real, value.imag] if isinstance(value, complex) else [value]
    parts = [part if np.isfinite(part) else None for part in parts]
    return parts if isinstance(value, complex) else parts[0]


@given(any_array)
def test_json_has_nested_lists(array: np.ndarray) -> None:
    for each in (array, array.T):
        told = orjson.loads(to_json({"a": each, "b": {"c": [each]}}))
        # JSON has the shortest decimals of a float32, which as float64 differ from its value.
        written, expected = (np.array(lists, each.real.dtype) for lists in (told["a"], plain(each)))
        np.testing.assert_array_equal(written, expected)
        assert told["b"] == {"c": [told["a"]]}


@given(any_array)
def test_an_archive_has_the_arrays_bit_by_bit(array: np.ndarray) -> None:
    with np.load(io.BytesIO(to_npz({"a": array, "b": {"c": [array]}, "d": None}))) as archive:
        assert set(archive) == {"a", "b.c.0"}
        assert archive["a"].dtype == array.dtype
        np.testing.assert_array_equal(archive["a"], array)


def test_a_tree_has_fields_that_this_version_does_not_know() -> None:
    message = BenchmarkReply(signal_length=5, mc_count=2, results={})
    tree = decode_tree(encode(message, ContentType.MSGPACK))
    assert tree == {"signal_length": 5, "mc_count": 2, "results": {}}


@given(st.data())
def test_a_tree_of_any_reply_has_a_form_in_json(data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(sorted(REPLIES, key=lambda reply: reply.__name__)))
    message = data.draw(strategies.BY_MODEL[model])
    tree = decode_tree(encode(message, ContentType.MSGPACK))
    assert orjson.loads(to_json(tree)).keys() == tree.keys()


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_decoded_to_dict_or_refused(data: bytes) -> None:
    with suppress(BadRequest):
        assert isinstance(decode_tree(data), dict)


def test_a_device_that_is_absent_says_why_and_one_that_is_there_how_it_is() -> None:
    reply = HardwareReply(
        fpga=DeviceReport(available=False),
        embedded=DeviceReport(available=True, detail="an ELM11 on /dev/ttyUSB0"),
        gpu=DeviceReport(available=False, device="a card without a driver"),
        cpu=CpuReport(available=True, cores=2),
    )
    report = HardwareReport.of(reply)
    assert (report.fpga.status, report.fpga.error) == (None, "not found")
    assert (report.embedded.status, report.embedded.error) == ("an ELM11 on /dev/ttyUSB0", None)
    assert (report.gpu.type, report.cpu.status) == ("None", "available")


def test_benchmark_status_is_completed_or_failed() -> None:
    results = {
        "sequential": BackendTiming(status="ok", computation_time=1.0, speedup=1.0),
        "cuda": BackendTiming(status="unavailable", error="no such backend"),
        "joblib": BackendTiming(status="failed", error="out of memory"),
    }
    report = BenchmarkReport.of(BenchmarkReply(signal_length=5, mc_count=2, results=results))
    told = {name: (timing.status, timing.error) for name, timing in report.results.items()}
    assert told == {
        "sequential": ("completed", None),
        "cuda": ("failed", "no such backend"),
        "joblib": ("failed", "out of memory"),
    }
