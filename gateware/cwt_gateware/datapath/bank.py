"""The sequencer of the filter bank, which selects the filter, octave and sample."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from cwt_gateware.datapath.commands import Command, Result, Source, Target
from cwt_gateware.datapath.ports import BankSettings, FilterRow
from cwt_schemas.hwlink import FILTERS, OUTPUT_ROOM

__all__ = ["Bank"]

#: Bits of the sample counter: after 15 halvings, 8 bits remain for the place in the ring.
COUNTER_BITS = 24


class Bank(wiring.Component):
    """Accept samples and send commands to the engine.

    Members
    -------
    settings
        Must be stable while samples arrive.
    samples
        Samples of octave 0; the next is accepted after the previous one has passed all octaves.
    filter_address, filter_row
        Port of the filter table, which answers one clock later.
    store, slot, place
        Store the current sample, or the result, in the history.
    command, result_valid, result
        Commands to the engine, and results from the rounder.
    put_out
        An output has left its queue, so there is room for another one.
    idle
        Every accepted sample is processed, and every output has left.
    worked_off
        High for one clock when a sample is processed.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "settings": In(BankSettings),
                "samples": In(stream.Signature(signed(16))),
                "filter_address": Out(range(FILTERS)),
                "filter_row": In(FilterRow),
                "store": Out(1),
                "slot": Out(4),
                "place": Out(8),
                "command": Out(stream.Signature(Command)),
                "result_valid": In(1),
                "result": In(Result),
                "put_out": In(1),
                "idle": Out(1),
                "worked_off": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        counter, number = Signal(COUNTER_BITS), Signal(COUNTER_BITS)
        octave, row = Signal(4), Signal(7)
        promised = Signal(range(OUTPUT_ROOM + 1))
        issued, halve, due, passed = Signal(), Signal(), Signal(), Signal()
        command, entry = self.command.payload, self.filter_row

        with m.Switch(entry.step):
            for step in range(4):
                with m.Case(step):
                    m.d.comb += due.eq(number[:step] == 0)
        m.d.comb += [
            issued.eq(self.command.valid & self.command.ready),
            halve.eq(~number[0] & (octave + 1 < self.settings.octaves)),
            self.slot.eq(octave),
            self.place.eq(number),
            command.start.eq(entry.start),
            command.length.eq(entry.length),
            command.shift.eq(entry.shift),
            command.newest.eq(number),
            command.slot.eq(octave),
            command.source.eq(Source.BANK),
            command.target.eq(Target.OUTPUT),
        ]
        made = Signal()
        m.d.sync += promised.eq(promised + made - self.put_out)

        with m.FSM() as fsm:
            with m.State("NEXT"):
                # The new sample replaces the oldest one, which the engine may still need.
                with m.If(self.samples.valid & self.command.ready):
                    m.d.sync += [counter.eq(counter + 1), number.eq(counter + 1), octave.eq(0)]
                    m.next = "STORE"
            with m.State("STORE"):
                m.d.comb += [self.store.eq(1), self.samples.ready.eq(1), self.filter_address.eq(0)]
                m.d.sync += row.eq(0)
                m.next = "ROW"
            with m.State("ROW"):
                room = promised != OUTPUT_ROOM
                m.d.comb += [
                    self.command.valid.eq(due & room),
                    made.eq(issued),
                    passed.eq(issued | ~due),
                    self.filter_address.eq(Mux(passed, row + 1, row)),
                ]
                with m.If(passed):
                    m.d.sync += row.eq(row + 1)
                    with m.If(row + 1 == self.settings.rows):
                        m.d.comb += self.filter_address.eq(self.settings.decimator)
                        with m.If(halve):
                            m.next = "HALVE"
                        with m.Else():
                            m.d.comb += self.worked_off.eq(1)
                            m.next = "NEXT"
            with m.State("HALVE"):
                m.d.comb += [
                    self.filter_address.eq(self.settings.decimator),
                    self.command.valid.eq(1),
                    command.target.eq(Target.SAMPLE),
                ]
                with m.If(issued):
                    m.d.sync += [number.eq(number >> 1), octave.eq(octave + 1)]
                    m.next = "DESCEND"
            with m.State("DESCEND"):
                m.d.comb += self.filter_address.eq(0)
                m.d.sync += row.eq(0)
                made_sample = self.result_valid & (self.result.target == Target.SAMPLE)
                with m.If(made_sample & ~self.result.last):
                    m.d.comb += self.store.eq(1)
                    m.next = "ROW"
        m.d.comb += self.idle.eq(fsm.ongoing("NEXT") & (promised == 0))
        return m
