"""Requests to devices: what is refused before anything is done."""

from __future__ import annotations

import numpy as np
import pytest

from cwt_schemas import ContentType, decode, encode, subjects
from cwt_schemas.endpoints import DEVICE_ENDPOINTS
from cwt_schemas.errors import Unprocessable
from cwt_schemas.hwops import HwCwtRequest, HwMcRequest


def test_a_device_has_endpoints_of_its_own_and_one_schema_for_all_devices() -> None:
    endpoint = DEVICE_ENDPOINTS["mc"].of_device("fpga0")
    assert endpoint.subject == subjects.hw("fpga0", "mc") == "cwt.hw.fpga0.mc"
    assert endpoint.schema_id == DEVICE_ENDPOINTS["mc"].schema_id == "hw.device.mc/1"


def test_more_samples_than_a_line_carries_are_refused_by_name() -> None:
    body = encode(HwCwtRequest(data=np.zeros(100_000), dt=1.0, s0=8.0), ContentType.MSGPACK)
    assert len(decode(HwCwtRequest, body, ContentType.MSGPACK).data) == 100_000
    with pytest.raises(ValueError, match=r"100001.*100000"):
        HwCwtRequest(data=np.zeros(100_001), dt=1.0, s0=8.0)


@pytest.mark.parametrize("fields", [{"rows": 13}, {"al1": 1.0}, {"pairs": 0}, {"timeout_s": 0}])
def test_what_no_device_can_do_is_refused(fields: dict[str, float]) -> None:
    asked = {"al1": 0.5, "al2": 0.5, "dj": 0.25, "s0": 4.0, **fields}
    body = repr(asked).replace("'", '"').encode()
    with pytest.raises(Unprocessable) as refusal:
        decode(HwMcRequest, body)
    assert refusal.value.fields == tuple(fields)
