"""The noise of Monte Carlo: xorshift128, sums of eight uniform numbers, AR(1), two channels."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gateware.datapath.memories import SamplePair
from gateware.datapath.ports import McSettings

__all__ = ["Noise"]

#: Mean of the sum of eight uniform u16.
MEAN = 262_140


class Noise(wiring.Component):
    """A stream of pairs of samples from the first clock of `run` on, made one pair ahead."""

    def __init__(self) -> None:
        super().__init__(
            {
                "run": In(1),
                "settings": In(McSettings),
                "pairs": Out(stream.Signature(SamplePair)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build it."""
        m = Module()
        x, y, z, w = state = [Signal(32, name=name) for name in "xyzw"]
        mixed, drawn = Signal(32), Signal(32)
        m.d.comb += [
            mixed.eq(x ^ (x << 11)),
            drawn.eq(w ^ (w >> 19) ^ mixed ^ (mixed >> 8)),
        ]
        channel, draws, uniform = Signal(), Signal(2), Signal(19)
        white, product = Signal(signed(19)), Signal(signed(32))
        coefficient, last = Signal(signed(16)), Signal(signed(16))
        m.d.comb += [
            coefficient.eq(Mux(channel, self.settings.a2, self.settings.a1)),
            last.eq(self.pairs.payload[channel]),
        ]
        with m.FSM():
            with m.State("SEED"), m.If(self.run):
                m.d.sync += Cat(*state).eq(self.settings.seed)
                m.next = "DRAW"
            with m.State("DRAW"):
                m.d.sync += [
                    Cat(x, y, z, w).eq(Cat(y, z, w, drawn)),
                    uniform.eq(uniform + drawn[:16] + drawn[16:]),
                    draws.eq(draws + 1),
                ]
                with m.If(draws == 3):
                    m.next = "MULTIPLY"
            with m.State("MULTIPLY"):
                centred = Signal(signed(20))
                m.d.comb += centred.eq(uniform - MEAN)
                m.d.sync += [
                    white.eq(centred >> self.settings.noise_shift),
                    product.eq(coefficient * last),
                    uniform.eq(0),
                ]
                m.next = "ADD"
            with m.State("ADD"):
                total = Signal(signed(21))
                m.d.comb += total.eq(((product + (1 << 14)) >> 15) + white)
                limited = Mux(total > 32767, 32767, Mux(total < -32768, -32768, total))
                m.d.sync += [self.pairs.payload[channel].eq(limited), channel.eq(~channel)]
                with m.If(channel):
                    m.next = "GIVE"
                with m.Else():
                    m.next = "DRAW"
            with m.State("GIVE"):
                m.d.comb += self.pairs.valid.eq(1)
                with m.If(self.pairs.ready):
                    m.next = "DRAW"
        return m
