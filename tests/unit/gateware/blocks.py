"""One block, set and read port by port, in Amaranth's simulator or compiled by Verilator."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any, Protocol

import amaranth.sim
from amaranth.hdl import Shape, Value
from amaranth.lib import data

from cwt_gateware.sim.engines import Simulator
from cwt_gateware.sim.shared_library import Design, Source, shared_library
from tests.unit.gateware.designs import FOLDER

__all__ = ["Block", "Ports", "run_block"]

#: Functions of a library, around the model of the block.
GLUE = """\
#include <cstdint>
#include "Vdevice.h"
#include "verilated.h"

struct Block {{
    VerilatedContext context;
    Vdevice device{{&context}};

    void clock() {{
        device.eval();
        device.clk = 1;
        device.eval();
        device.clk = 0;
        device.eval();
    }}
}};

extern "C" {{

void *block_new() {{
    auto *block = new Block;
    block->device.rst = 1;
    block->clock();
    block->device.rst = 0;
    block->device.eval();
    return block;
}}

void block_free(Block *block) {{ delete block; }}

void block_eval(Block *block) {{ block->device.eval(); }}

void block_clock(Block *block, uint32_t clocks) {{
    while (clocks--) block->clock();
}}

void *block_port(Block *block, uint32_t number) {{
    Vdevice &device = block->device;
    switch (number) {{
{cases}
    }}
    return nullptr;
}}

}}
"""


class Block:
    """A block under test.

    Parameters
    ----------
    name : str
        Of the compiled library.
    make : callable
        Makes the component.
    signature : amaranth.lib.wiring.Signature
        Of the component.
    """

    def __init__(self, name: str, make: Callable[[], Any], signature: Any) -> None:
        self.name = name
        self.make = make
        self.interface = signature.create()

    def design(self) -> Design:
        component = self.make()
        return Design(component, named_ports(component))


def named_ports(interface: Any) -> dict[str, Value]:
    """Return the ports with names that are no words of C++, as their own may be."""
    return {
        f"port{number}": Value.cast(value)
        for number, (*_, value) in enumerate(interface.signature.flatten(interface))
    }


#: A port takes the smallest of these that it fits into.
WORDS = (ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64)


class Ports(Protocol):
    """The ports of a block; what is set counts from the next clock on."""

    def set(self, port: Any, value: Any) -> None:
        """Set an input; a structure is a dict of its fields."""

    def get(self, port: Any) -> Any:
        """Return the value of a port."""

    async def tick(self, clocks: int = 1) -> None:
        """Run so many clocks."""


class InterpretedPorts:
    """`Ports` of a block in Amaranth's simulator."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def set(self, port: Any, value: Any) -> None:
        self._context.set(port, value)

    def get(self, port: Any) -> Any:
        return self._context.get(port)

    async def tick(self, clocks: int = 1) -> None:
        await self._context.tick().repeat(clocks)


class VerilatedPorts:
    """`Ports` of a block compiled by Verilator, just reset."""

    def __init__(self, block: Block) -> None:
        values = named_ports(block.interface)
        cases = "\n".join(
            f"    case {number}: return &device.{port};" for number, port in enumerate(values)
        )
        source = Source(name=block.name, design=block.design, glue=GLUE.format(cases=cases))
        self._library = ctypes.CDLL(str(shared_library(source, FOLDER)))
        self._library.block_new.restype = ctypes.c_void_p
        self._library.block_port.restype = ctypes.c_void_p
        self._handle = ctypes.c_void_p(self._library.block_new())
        self._memory = {
            id(value): PortMemory(self._library.block_port(self._handle, number), value.shape())
            for number, value in enumerate(values.values())
        }
        self._settled = True

    def set(self, port: Any, value: Any) -> None:
        if isinstance(port, data.View):
            value = Value.cast(port.shape().const(value)).value
        self._memory[id(Value.cast(port))].write(value)
        self._settled = False

    def get(self, port: Any) -> Any:
        if not self._settled:
            self._library.block_eval(self._handle)
            self._settled = True
        value = self._memory[id(Value.cast(port))].read()
        return port.shape().from_bits(value) if isinstance(port, data.View) else value

    async def tick(self, clocks: int = 1) -> None:
        self._library.block_clock(self._handle, clocks)
        self._settled = True

    def close(self) -> None:
        self._library.block_free(self._handle)


class PortMemory:
    """The number in which Verilator keeps a port: of 8, 16, 32 or 64 bits, or several of 32."""

    def __init__(self, address: int, shape: Shape) -> None:
        self._shape = shape
        fitting = [word for word in WORDS if 8 * ctypes.sizeof(word) >= shape.width]
        word = fitting[0] if fitting else ctypes.c_uint32
        self._word_bits = 8 * ctypes.sizeof(word)
        count = -(-shape.width // self._word_bits)
        self._words = (word * count).from_address(address)

    def write(self, value: int) -> None:
        value &= (1 << self._shape.width) - 1
        for place in range(len(self._words)):
            self._words[place] = value >> (place * self._word_bits)

    def read(self) -> int:
        value = 0
        for place, word in enumerate(self._words):
            value |= int(word) << (place * self._word_bits)
        negative = self._shape.signed and value >> (self._shape.width - 1)
        return value - (1 << self._shape.width) if negative else value


def run_block(
    block: Block, work: Callable[[Ports, Any], Coroutine[Any, Any, None]], simulator: Simulator
) -> None:
    """Run `work`, which gets the ports and the interface that they belong to."""
    if simulator == "verilator":
        with closing(VerilatedPorts(block)) as ports:
            _run_to_its_end(work(ports, block.interface))
        return

    component = block.make()

    async def testbench(context: Any) -> None:
        await work(InterpretedPorts(context), component)

    interpreted = amaranth.sim.Simulator(component)
    interpreted.add_clock(1e-6)
    interpreted.add_testbench(testbench)
    interpreted.run()


def _run_to_its_end(work: Coroutine[Any, Any, None]) -> None:
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("a compiled block never has to be waited for")
