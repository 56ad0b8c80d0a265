"""The filter table: 128 entries, read one clock after the address."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from cwt_gateware.datapath.ports import FilterRow, write_port
from cwt_schemas.hwlink import FILTERS

__all__ = ["FilterTable"]


class FilterTable(wiring.Component):
    """The filter table, written by the link and read by the active sequencer."""

    def __init__(self) -> None:
        super().__init__(
            {
                "write": In(write_port(FILTERS, FilterRow)),
                "address": In(range(FILTERS)),
                "row": Out(FilterRow),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        m.submodules.ram = ram = memory.Memory(shape=FilterRow, depth=FILTERS, init=[])
        write, read = ram.write_port(), ram.read_port()
        m.d.comb += [
            write.addr.eq(self.write.address),
            write.data.eq(self.write.data),
            write.en.eq(self.write.enable),
            read.addr.eq(self.address),
            self.row.eq(read.data),
        ]
        return m
