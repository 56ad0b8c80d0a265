"""The bitstream's report and name; the tools themselves take minutes and run by `make gateware`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from amaranth.back import rtlil

import cwt_schemas
from cwt_gateware.board.report import BEGIN, END, Build, replaced_section, section
from cwt_gateware.device import SerialDevice
from cwt_gateware.features import FEATURES, datapath
from cwt_gateware.identity import Identity, build_hash, source_files
from cwt_schemas.hwlink import Feature

REPORT: dict[str, dict[str, Any]] = {
    "fmax": {"clk": {"achieved": 41.5, "constraint": 27}},
    "utilization": {
        name: {"used": used, "available": available}
        for name, used, available in [
            ("LUT4", 6000, 8640), ("ALU", 900, 6480), ("DFF", 3000, 6480), ("BSRAM", 25, 26),
            ("MULT18X18", 11, 20), ("OSC", 0, 1),
        ]
    },
}  # fmt: skip


def build(report: dict[str, Any]) -> Build:
    return Build.from_report(
        json.dumps(report).encode(), build_hash="ab", bitstream_sha256="cd", tools={"yosys": "1"}
    )


def test_a_design_that_fits_has_no_faults_and_the_page_says_how_large_it_is() -> None:
    page = replaced_section(f"before {BEGIN} old {END} after", section(build(REPORT)))
    assert build(REPORT).faults == ()
    assert "| 25 | 26 | 96 % |" in page
    assert page.startswith("before ")
    assert page.endswith(" after")
    assert "old" not in page


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        ({"fmax": {"clk": {"achieved": 26.9, "constraint": 27}}}, "26.9 MHz"),
        (
            {"utilization": REPORT["utilization"] | {"BSRAM": {"used": 27, "available": 26}}},
            "27 BSRAM of 26",
        ),
    ],
)
def test_a_design_that_is_too_large_or_too_slow_has_a_fault(
    part: dict[str, Any], fault: str
) -> None:
    (found,) = build(REPORT | part).faults
    assert fault in found


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="begin"):
        replaced_section("nothing", section(build(REPORT)))


def test_the_name_of_a_build_is_of_its_sources_and_its_tools() -> None:
    assert build_hash({"a": "1"}) == build_hash({"a": "1"})
    assert build_hash({"a": "1"}) != build_hash({"a": "2"})
    names = source_files().keys()
    assert {Path(__file__).parents[3] / name for name in names} == set(source_files().values())
    some = ("session", "board/top", "datapath/datapath")
    gateware = {f"gateware/cwt_gateware/{name}.py" for name in some}
    assert gateware | {"schemas/cwt_schemas/hwlink.py"} <= names
    assert not any("sim/" in name for name in names)


def test_a_design_without_its_sources_has_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cwt_schemas, "__file__", str(tmp_path / "__init__.pyc"))
    with pytest.raises(FileNotFoundError, match=rf"no hwlink\*\.py in {tmp_path}"):
        build_hash({"a": "1"})


@pytest.mark.slow
def test_the_whole_design_becomes_rtl_the_same_every_time() -> None:
    texts = {
        rtlil.convert(
            SerialDevice(
                Identity(build_hash=bytes(8), features=FEATURES | Feature.BAUD), datapath()
            ),
            emit_src=False,
        )
        for _ in range(2)
    }
    assert len(texts) == 1
