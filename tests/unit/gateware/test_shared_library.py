"""Compiled designs are cached, and never out of date."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import Component, Out

from cwt_gateware.sim.shared_library import Design, Source, shared_library
from tests.unit.gateware.designs import needs_verilator

pytestmark = [pytest.mark.slow, needs_verilator]

GLUE = """
#include "Vdevice.h"
#include "verilated.h"
extern "C" int counted(int clocks) {
    VerilatedContext context;
    Vdevice device{&context};
    device.eval();
    for (int edge = 0; edge < 2 * clocks; edge++) {
        device.clk = !device.clk;
        device.eval();
    }
    return device.count;
}
"""


class Counter(Component):
    def __init__(self) -> None:
        super().__init__({"count": Out(8)})

    def elaborate(self, _platform: object) -> Any:
        m = Module()
        m.d.sync += self.count.eq(self.count + 1)
        return m


def test_a_design_is_compiled_once_even_if_two_need_it_at_the_same_time(tmp_path: Path) -> None:
    made = []

    def design() -> Design:
        made.append(Counter())
        return Design(made[-1], {"count": made[-1].count})

    source = Source(name="counter", design=design, glue=GLUE)
    with ThreadPoolExecutor() as pool:
        libraries = {*pool.map(lambda _: shared_library(source, tmp_path), range(2))}
    libraries.add(shared_library(source, tmp_path))
    (library,) = libraries
    assert len(made) == 1
    assert ctypes.CDLL(str(library)).counted(5) == 5


def test_other_code_around_a_design_is_another_library(tmp_path: Path) -> None:
    class Compiled(Exception):  # noqa: N818 - raised in order to stop
        pass

    def design() -> Design:
        raise Compiled

    source = Source(name="counter", design=design, glue=GLUE)
    for different in (source, replace(source, glue=GLUE + "// other")):
        with pytest.raises(Compiled):
            shared_library(different, tmp_path)
    assert len([*tmp_path.iterdir()]) == 2
