"""The noise of Monte Carlo: xorshift128, sums of eight uniform numbers, AR(1), two channels."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from cwt_gateware.datapath.memories import SamplePair
from cwt_gateware.datapath.ports import McSettings

__all__ = ["Noise"]

#: Mean of the sum of eight uniform u16.
MEAN = 262_140


class Noise(wiring.Component):
    """An endless stream of pairs of samples, generated one pair ahead.

    `load` takes the seed; the user of `load` also resets everything except the generator's state.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "load": In(1),
                "seed": In(128),
                "settings": In(McSettings),
                "pairs": Out(stream.Signature(SamplePair)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        x, y, z, w = state = [Signal(32, name=name, reset_less=True) for name in "xyzw"]
        mixed, drawn = Signal(32), Signal(32)
        m.d.comb += [
            mixed.eq(x ^ (x << 11)),
            drawn.eq(w ^ (w >> 19) ^ mixed ^ (mixed >> 8)),
        ]
        channel, draws, uniform = Signal(), Signal(2), Signal(19)
        white, total = Signal(signed(19)), Signal(signed(20))
        coefficient, rounded = Signal(signed(16)), Signal(signed(18))
        pair = self.pairs.payload
        m.d.comb += [
            coefficient.eq(Mux(channel, self.settings.a2, self.settings.a1)),
            # The channels alternate, so the older one is always the first.
            rounded.eq((coefficient * pair[0] + (1 << 14)) >> 15),
        ]
        with m.FSM():
            with m.State("DRAW"):
                m.d.sync += [
                    Cat(x, y, z, w).eq(Cat(y, z, w, drawn)),
                    uniform.eq(uniform + drawn[:16] + drawn[16:]),
                    draws.eq(draws + 1),
                ]
                with m.If(draws == 3):
                    m.next = "SHIFT"
            with m.State("SHIFT"):
                centred = Signal(signed(20))
                m.d.comb += centred.eq(uniform - MEAN)
                m.d.sync += [white.eq(centred >> self.settings.noise_shift), uniform.eq(0)]
                m.next = "ADD"
            with m.State("ADD"):
                m.d.sync += total.eq(rounded + white)
                m.next = "LIMIT"
            with m.State("LIMIT"):
                fits = (total[15:] == 0) | total[15:].all()
                limit = Cat((~total[19]).replicate(15), total[19])
                m.d.sync += [
                    Cat(*pair).eq(Cat(pair[1], Mux(fits, total[:16], limit))),
                    channel.eq(~channel),
                ]
                with m.If(channel):
                    m.next = "GIVE"
                with m.Else():
                    m.next = "DRAW"
            with m.State("GIVE"):
                m.d.comb += self.pairs.valid.eq(1)
                with m.If(self.pairs.ready):
                    m.next = "DRAW"
        with m.If(self.load):
            m.d.sync += Cat(*state).eq(self.seed)
        return m
