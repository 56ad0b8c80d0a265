"""The sequencer of Monte Carlo, which selects the filter, level and sample.

At each instant, the row filters r and the smoothing filters s alternate as r0, r1, s0, r2, s1 ...,
so that the products of a row are computed while the engine computes the next row.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from cwt_gateware.datapath.bank import COUNTER_BITS
from cwt_gateware.datapath.commands import Command, Result, Source, Target
from cwt_gateware.datapath.memories import SamplePair
from cwt_gateware.datapath.ports import FilterRow, McSettings
from cwt_schemas.hwlink import FILTERS, MC_MAX_ROWS, SMOOTHING_BASE

__all__ = ["MonteCarlo"]

#: Slot of the smoothed products in the product memory: row r at place 31 - r, because filters read
#: their history backwards.
SMOOTHED_SLOT = MC_MAX_ROWS

#: Ratios in flight: one is divided while the engine computes the next.
_RATIOS_AT_ONCE = 2


class MonteCarlo(wiring.Component):
    """Accept pairs of noise samples and send commands to the engine.

    Members
    -------
    settings
        Must be stable during the pass.
    running
        The memories are cleared and the pass can run.
    pairs
        Pairs of noise samples.
    filter_address, filter_row
        Port of the filter table, which answers one clock later.
    store, level, place
        Store the first and the second sample of the current pair, or the result of either, in the
        sample history.
    keep, row, instant
        Store the current products, or smoothed products, in their history.
    command, result_valid, result
        Commands to the engine, and results from the rounder.
    ratio_settled
        High when a ratio was binned, or has no bin.
    done, worked_off
        Number of binned instants; high for one clock per instant.
    finished
        All instants are binned.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "settings": In(McSettings),
                "running": In(1),
                "pairs": In(stream.Signature(SamplePair)),
                "filter_address": Out(range(FILTERS)),
                "filter_row": In(FilterRow),
                "store": Out(2),
                "level": Out(4),
                "place": Out(7),
                "keep": Out(1),
                "row": Out(5),
                "instant": Out(5),
                "command": Out(stream.Signature(Command)),
                "result_valid": In(1),
                "result": In(Result),
                "ratio_settled": In(1),
                "done": In(32),
                "worked_off": Out(1),
                "finished": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        settings, command, entry = self.settings, self.command.payload, self.filter_row
        counter, number, level = Signal(COUNTER_BITS), Signal(COUNTER_BITS), Signal(4)
        warmed = Signal(32)
        row, smoothing, binned = Signal(5), Signal(5), Signal(4)
        multiplied, smoothed = Signal(5), Signal(5)
        ratios = Signal(range(_RATIOS_AT_ONCE + 1))
        issued, due, instant, ratio_made = Signal(), Signal(), Signal(5), Signal()

        with m.Switch(settings.step):
            for step in range(4):
                with m.Case(step):
                    m.d.comb += [due.eq(number[:step] == 0), instant.eq(number >> step)]
        m.d.comb += [
            issued.eq(self.command.valid & self.command.ready),
            self.level.eq(level),
            self.place.eq(number),
            command.start.eq(entry.start),
            command.length.eq(entry.length),
            command.shift.eq(entry.shift),
        ]
        last = self.result_valid & self.result.last
        multiplies = last & (self.result.target == Target.PRODUCT)
        smooths = last & (self.result.target == Target.SMOOTHED)
        m.d.comb += [
            self.keep.eq(multiplies | smooths),
            self.row.eq(Mux(smooths, SMOOTHED_SLOT, multiplied)),
            self.instant.eq(Mux(smooths, ~smoothed, instant)),
        ]
        m.d.sync += [
            multiplied.eq(multiplied + multiplies),
            smoothed.eq(smoothed + smooths),
            ratios.eq(ratios + ratio_made - self.ratio_settled),
        ]

        with m.FSM():
            with m.State("NEXT"):
                m.d.comb += self.finished.eq(self.done == settings.instants)
                with m.If(self.running & self.pairs.valid & self.command.ready & ~self.finished):
                    m.d.sync += [counter.eq(counter + 1), number.eq(counter + 1), level.eq(0)]
                    m.next = "STORE"
            with m.State("STORE"):
                m.d.comb += [self.store.eq(0b11), self.pairs.ready.eq(1)]
                m.next = "LOOK"
            with m.State("LOOK"):
                m.d.sync += [row.eq(0), smoothing.eq(0), binned.eq(0)]
                m.d.sync += [multiplied.eq(0), smoothed.eq(0)]
                m.next = "NEXT"
                with m.If(level != settings.decimations):
                    m.d.comb += self.filter_address.eq(settings.decimator)
                    with m.If(~number[0]):
                        m.next = "HALVE"
                with m.Elif(due):
                    m.next = "ROW"
            with m.State("HALVE"):
                m.d.comb += [
                    self.filter_address.eq(settings.decimator),
                    self.command.valid.eq(1),
                    command.source.eq(Source.PAIRS),
                    command.newest.eq(number),
                    command.slot.eq(level),
                    command.target.eq(Target.SAMPLE),
                ]
                with m.If(issued):
                    m.d.sync += [number.eq(number >> 1), level.eq(level + 1)]
                    m.next = "DESCEND"
            with m.State("DESCEND"):
                # Only the real parts, the first and the third result, are samples.
                with m.If(self.result_valid & ~self.result.index[0]):
                    m.d.comb += self.store.eq(Mux(self.result.index[1], 0b10, 0b01))
                with m.If(last):
                    m.next = "LOOK"
            with m.State("ROW"):
                m.d.comb += [
                    self.filter_address.eq(row),
                    self.command.valid.eq(1),
                    command.source.eq(Source.PAIRS),
                    command.newest.eq(number),
                    command.slot.eq(level),
                    command.target.eq(Target.ROW),
                ]
                with m.If(issued):
                    m.d.sync += row.eq(row + 1)
                    with m.If((row == 0) & (settings.rows != 1)):
                        m.d.comb += self.filter_address.eq(1)
                    with m.Else():
                        m.d.comb += self.filter_address.eq(SMOOTHING_BASE + smoothing)
                        m.next = "SMOOTH"
            with m.State("SMOOTH"):
                m.d.comb += [
                    self.filter_address.eq(SMOOTHING_BASE + smoothing),
                    self.command.valid.eq(multiplied > smoothing),
                    command.source.eq(Source.PRODUCTS),
                    command.newest.eq(instant),
                    command.slot.eq(smoothing),
                    command.target.eq(Target.SMOOTHED),
                ]
                with m.If(issued):
                    m.d.sync += smoothing.eq(smoothing + 1)
                    with m.If(row != settings.rows):
                        m.d.comb += self.filter_address.eq(row)
                        m.next = "ROW"
                    with m.Elif(smoothing + 1 != settings.rows):
                        m.d.comb += self.filter_address.eq(SMOOTHING_BASE + smoothing + 1)
                    with m.Else():
                        m.next = "SETTLE"
            with m.State("SETTLE"):
                m.d.comb += self.filter_address.eq(settings.boxcar)
                with m.If(smoothed == settings.rows):
                    with m.If(warmed == settings.warmup):
                        m.next = "BOXCAR"
                    with m.Else():
                        m.d.sync += warmed.eq(warmed + 1)
                        m.next = "NEXT"
            with m.State("BOXCAR"):
                m.d.comb += [
                    self.filter_address.eq(settings.boxcar),
                    self.command.valid.eq(ratios != _RATIOS_AT_ONCE),
                    ratio_made.eq(issued),
                    command.source.eq(Source.PRODUCTS),
                    command.newest.eq(31 - settings.first - binned + (entry.length >> 1)),
                    command.slot.eq(SMOOTHED_SLOT),
                    command.target.eq(Target.BOXCAR),
                ]
                with m.If(issued):
                    m.d.sync += binned.eq(binned + 1)
                    with m.If(binned + 1 == settings.count):
                        m.next = "BIN"
            with m.State("BIN"), m.If(ratios == 0):
                m.d.comb += self.worked_off.eq(1)
                m.next = "NEXT"
        return m
