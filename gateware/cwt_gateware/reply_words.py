"""Stream the payload of a reply, byte by byte from words."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from cwt_gateware.answers import WORD_BYTES
from cwt_gateware.datapath.ports import Complex
from cwt_schemas.hwlink import COUNTS_PER_FRAME, HISTOGRAM_BINS, MC_MAX_BINNED_ROWS
from cwt_schemas.hwlink_layouts import HelloReply

__all__ = ["ReplyWords"]

PLACES = MC_MAX_BINNED_ROWS * HISTOGRAM_BINS
BITS = 8 * WORD_BYTES


class ReplyWords(wiring.Component):
    """Send the device's own words, then the requested number of words from the data path.

    Attributes
    ----------
    begin
        Starts a payload with `extras` outputs of the bank (`of_bank`), or counts from `first` on.
    own_word, own_words
        The word at `index`, and the number of words; stable until `done`.
    fetched
        High for one clock per output.
    done
        The payload was sent; stays high until the next `begin`.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "begin": In(1),
                "extras": In(range(COUNTS_PER_FRAME + 1)),
                "of_bank": In(1),
                "first": In(range(PLACES)),
                "index": Out(range(HelloReply.FORMAT.size // WORD_BYTES + 1)),
                "own_word": In(BITS),
                "own_words": In(range(HelloReply.FORMAT.size // WORD_BYTES + 1)),
                "outputs": In(stream.Signature(Complex)),
                "histogram_address": Out(stream.Signature(range(PLACES))),
                "histogram_count": In(stream.Signature(BITS)),
                "reply": Out(stream.Signature(8)),
                "fetched": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Any:
        """Return the Amaranth module."""
        m = Module()
        outputs, address, count = self.outputs, self.histogram_address, self.histogram_count
        word = Signal(BITS)
        byte = Signal(range(WORD_BYTES))
        left = Signal(range(COUNTS_PER_FRAME + 1))
        place = Signal(range(PLACES))
        m.d.comb += [address.payload.eq(place), self.reply.payload.eq(word[:8])]

        with m.FSM():
            with m.State("REST"):
                m.d.comb += self.done.eq(1)
                m.d.sync += [left.eq(self.extras), place.eq(self.first), self.index.eq(0)]
                with m.If(self.begin):
                    m.next = "OWN_WORDS"
            with m.State("OWN_WORDS"):
                m.d.sync += word.eq(self.own_word)
                m.next = "WORD"
                with m.If(self.index == self.own_words):
                    m.next = "EXTRAS"
            with m.State("EXTRAS"):
                with m.If(left == 0):
                    m.next = "REST"
                with m.Elif(self.of_bank):
                    m.d.comb += [outputs.ready.eq(1), self.fetched.eq(outputs.valid)]
                    with m.If(outputs.valid):
                        m.d.sync += word.eq(Value.cast(outputs.payload))
                        m.next = "EXTRA"
                with m.Else():
                    m.d.comb += address.valid.eq(1)
                    with m.If(address.ready):
                        m.next = "COUNT"
            with m.State("COUNT"):
                m.d.comb += count.ready.eq(1)
                with m.If(count.valid):
                    m.d.sync += [word.eq(count.payload), place.eq(place + 1)]
                    m.next = "EXTRA"
            for state, after in (("WORD", "OWN_WORDS"), ("EXTRA", "EXTRAS")):
                with m.State(state):
                    m.d.comb += self.reply.valid.eq(1)
                    with m.If(self.reply.ready):
                        m.d.sync += [word.eq(word >> 8), byte.eq(byte + 1)]
                        with m.If(byte == WORD_BYTES - 1):
                            m.next = after
                            if state == "WORD":
                                m.d.sync += self.index.eq(self.index + 1)
                            else:
                                m.d.sync += left.eq(left - 1)
        return m
