"""Execute requests: their limits, effects on the data path, and replies."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from cwt_gateware.answers import WORD_BYTES, Picture, own_answers
from cwt_gateware.command_port import CommandPort
from cwt_gateware.datapath.ports import DatapathSignature
from cwt_gateware.identity import Identity
from cwt_gateware.layouts import unpack
from cwt_gateware.limits import at_most, entry_fits, limits
from cwt_gateware.reply_words import ReplyWords
from cwt_gateware.request_shapes import (
    ITEM_BYTES,
    SEED_BYTES,
    SETTINGS_BYTES,
    SHAPES,
    STARTS,
    offered,
)
from cwt_gateware.uart import DIVISOR_BITS
from cwt_schemas.hwlink import (
    COEFFICIENTS,
    OUTPUT_ROOM,
    OUTPUTS_PER_FRAME,
    SAMPLE_ROOM,
    Feature,
    MessageType,
    NakCode,
    State,
)
from cwt_schemas.hwlink_layouts import (
    FilterEntry,
    FirIo,
    FirStart,
    Histogram,
    LoadCoeffs,
    McStart,
    Selftest,
    SetBaud,
)

__all__ = ["Commands"]


class Commands(wiring.Component):
    """Execute requests one at a time on a data path.

    Attributes
    ----------
    port
        Port of the session; see `CommandPort`.
    datapath
        See `DatapathSignature`.
    boot_nonce, bad_frames, divisor
        Values for HELLO and STATUS.
    wanted, confirm
        Divisor of the last SET_BAUD; high for one clock on CONFIRM_BAUD.
    working
        A job is running and does not wait for the host.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        super().__init__(
            {
                "port": In(CommandPort()),
                "datapath": Out(DatapathSignature()),
                "boot_nonce": In(32),
                "bad_frames": In(16),
                "divisor": In(DIVISOR_BITS),
                "wanted": Out(DIVISOR_BITS),
                "confirm": Out(1),
                "working": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Any:
        """Return the Amaranth module."""
        m = Module()
        port, datapath = self.port, self.datapath
        features = self.identity.features
        requests = offered(features)

        state = Signal(State)
        job = Signal(16)
        total = Signal(32)
        position = Signal(32)
        fetched = Signal(32)

        busy = (state == State.FIR) | (state == State.SELFTEST) | (state == State.MC)
        with m.If(datapath.finished & (state == State.SELFTEST)):
            m.d.sync += state.eq(State.SELFTEST_DONE)
        with m.If(datapath.finished & (state == State.MC)):
            m.d.sync += state.eq(State.MC_DONE)
        m.d.comb += self.working.eq(
            (state == State.SELFTEST)
            | (state == State.MC)
            | (
                (state == State.FIR)
                & (datapath.sample_room != SAMPLE_ROOM)
                & (datapath.outputs_ready != OUTPUT_ROOM)
            )
        )

        # The request: its shape, and its bytes as they are read, the last one uppermost.
        settings = Signal(8 * SETTINGS_BYTES)
        item = Signal(8 * ITEM_BYTES)
        fixed_bytes = Signal(range(SETTINGS_BYTES + 1))
        item_bytes = Signal(range(ITEM_BYTES + 1))
        rest = Signal(8)
        items = Signal(7)
        fits = Signal()
        known = Signal()
        starts = Signal()
        with m.Switch(port.type):
            for message in requests:
                shape = SHAPES[message]
                with m.Case(message):
                    m.d.comb += [
                        known.eq(1),
                        starts.eq(message in STARTS),
                        fixed_bytes.eq(shape.fixed_bytes),
                        item_bytes.eq(shape.item_bytes),
                        rest.eq(port.length - shape.fixed_bytes),
                    ]
                    if shape.item_bytes:
                        shift = shape.item_bytes.bit_length() - 1
                        least = shape.fixed_bytes + shape.least * shape.item_bytes
                        m.d.comb += [
                            items.eq(rest >> shift),
                            fits.eq(~at_most(port.length, least - 1) & (rest[:shift] == 0)),
                        ]
                    else:
                        m.d.comb += fits.eq(port.length == shape.fixed_bytes)

        load = unpack(item[-32:], LoadCoeffs)
        entry = unpack(item, FilterEntry)
        fir = unpack(item, FirIo)
        histogram = unpack(item, Histogram)
        start = unpack(settings, FirStart)
        test = unpack(settings, Selftest)
        mc = unpack(settings, McStart)

        # The seed of the last Monte Carlo pass, byte by byte.
        m.submodules.seed = seed = Memory(shape=8, depth=SEED_BYTES, init=[])
        kept_seed = seed.read_port()
        keep_seed = seed.write_port()
        offset = Signal(8)
        other_seed = Signal()
        same_mc = ((state == State.MC) | (state == State.MC_DONE)) & ~other_seed & (port.job == job)

        # Conditions of refusals.
        in_range = Signal(init=1)
        needs_rest = Signal()
        right_job = Signal(init=1)
        with m.Switch(port.type):
            for message, fine in limits(item, settings, items).items():
                if message in requests:
                    with m.Case(message):
                        m.d.comb += in_range.eq(fine)
        with m.Switch(port.type):
            with m.Case(
                MessageType.LOAD_COEFFS,
                MessageType.LOAD_FILTERS,
                MessageType.FIR_START,
                MessageType.SELFTEST,
            ):
                m.d.comb += needs_rest.eq(1)
            with m.Case(MessageType.MC_START):
                m.d.comb += needs_rest.eq(~same_mc)
            with m.Case(MessageType.FIR_IO):
                m.d.comb += right_job.eq((state == State.FIR) & (port.job == job))
            with m.Case(MessageType.MC_HISTOGRAM):
                m.d.comb += right_job.eq(
                    ((state == State.MC) | (state == State.MC_DONE)) & (port.job == job)
                )
        entry_in_range = entry_fits(entry)

        # The position of the bank's settings depends on the running job: FIR_START is shorter.
        number = Signal(range(COEFFICIENTS))
        testing = Signal()
        m.d.comb += [
            datapath.coefficient_write.address.eq(number),
            datapath.filter_write.address.eq(number),
            datapath.coefficient_write.data.eq(item[-32:]),
            *(
                getattr(datapath.filter_write.data, name).eq(entry[name])
                for name in datapath.filter_write.data.shape().members
            ),
            datapath.samples.payload.eq(item[-16:].as_signed()),
            datapath.selftest.seed.eq(test["seed"]),
            datapath.selftest.samples.eq(test["samples"]),
            *(getattr(datapath.mc, name).eq(mc[name]) for name in datapath.mc.shape().members),
            *(
                getattr(datapath.bank, name).eq(Mux(testing, test[name], start[name]))
                for name in datapath.bank.shape().members
            ),
        ]

        # The reply: the device's own words, then those of the data path.
        picture = Picture(
            boot_nonce=self.boot_nonce,
            bad_frames=self.bad_frames,
            divisor=self.divisor,
            state=state,
            job=job,
            total=total,
            fetched=fetched,
        )
        answers = own_answers(self.identity, picture, datapath, item)
        m.submodules.words = words = ReplyWords()
        with m.Switch(port.type):
            for message, answer in answers.items():
                if message in requests:
                    with m.Case(message):
                        count = len(answer) // (8 * WORD_BYTES)
                        m.d.comb += words.own_words.eq(count)
                        with m.Switch(words.index):
                            for place in range(count):
                                with m.Case(place):
                                    m.d.comb += words.own_word.eq(answer.word_select(place, 32))
        with m.If(port.type == MessageType.FIR_IO):
            m.d.comb += [
                words.of_bank.eq(1),
                words.extras.eq(
                    Mux(
                        at_most(datapath.outputs_ready, OUTPUTS_PER_FRAME),
                        datapath.outputs_ready,
                        OUTPUTS_PER_FRAME,
                    )
                ),
            ]
        with m.Elif(port.type == MessageType.MC_HISTOGRAM):
            m.d.comb += words.extras.eq(histogram["count"])
        m.d.comb += words.first.eq(Cat(histogram["first"], histogram["row"]))
        connect(m, words.outputs, flipped(datapath.outputs))
        connect(m, words.histogram_address, flipped(datapath.histogram_address))
        connect(m, words.histogram_count, flipped(datapath.histogram_count))
        connect(m, words.reply, flipped(port.reply))
        with m.If(words.fetched):
            m.d.sync += fetched.eq(fetched + 1)

        byte = Signal(range(ITEM_BYTES + 1))

        m.d.comb += [
            port.offset.eq(offset),
            kept_seed.addr.eq(offset),
            keep_seed.addr.eq(offset - 1),
            keep_seed.data.eq(port.data),
        ]

        def refuse(code: NakCode) -> None:
            m.d.sync += port.code.eq(code)
            m.next = "ANSWER"

        def start_job() -> list[Any]:
            return [job.eq(port.job), position.eq(0), fetched.eq(0)]

        with m.FSM():
            with m.State("REST"):
                m.d.sync += [offset.eq(0), byte.eq(0), port.code.eq(0), other_seed.eq(0)]
                with m.If(port.go):
                    with m.If(~known):
                        refuse(NakCode.TYPE)
                    with m.Elif(~fits):
                        refuse(NakCode.LENGTH)
                    with m.Elif(fixed_bytes == 0):
                        m.next = "JUDGE"
                    with m.Else():
                        m.next = "FIXED_ADDRESS"
            with m.State("FIXED_ADDRESS"):
                m.d.sync += offset.eq(offset + 1)
                m.next = "FIXED"
            with m.State("FIXED"):
                with m.If(~starts):
                    m.d.sync += item.eq(Cat(item[8:], port.data))
                with m.Elif(~busy):
                    m.d.sync += settings.eq(Cat(settings[8:], port.data))
                with m.If(at_most(offset, SEED_BYTES) & (kept_seed.data != port.data)):
                    m.d.sync += other_seed.eq(1)
                with m.If(offset == fixed_bytes):
                    m.next = "JUDGE"
                with m.Else():
                    m.next = "FIXED_ADDRESS"
            with m.State("JUDGE"):
                m.next = "DO"
                with m.If(needs_rest & busy):
                    refuse(NakCode.BUSY)
                with m.Elif(~in_range & ~(starts & busy)):
                    refuse(NakCode.RANGE)
                with m.Elif(~right_job):
                    refuse(NakCode.JOB)
                if MessageType.FIR_IO in requests:
                    with m.Elif(port.type == MessageType.FIR_IO):
                        with m.If(fir["first"] != position):
                            refuse(NakCode.POSITION)
                        with m.Elif(items > datapath.sample_room):
                            refuse(NakCode.NO_ROOM)
            with m.State("DO"):
                m.d.sync += number.eq(load["first"])
                m.next = "ANSWER"
                with m.Switch(port.type):
                    if Feature.BAUD in features:
                        with m.Case(MessageType.SET_BAUD):
                            m.d.sync += self.wanted.eq(unpack(item, SetBaud)["divisor"])
                        with m.Case(MessageType.CONFIRM_BAUD):
                            m.d.comb += self.confirm.eq(1)
                    with m.Case(MessageType.ABORT):
                        m.d.comb += datapath.abort.eq(1)
                        m.d.sync += state.eq(State.IDLE)
                    with m.Case(
                        MessageType.LOAD_COEFFS, MessageType.LOAD_FILTERS, MessageType.FIR_IO
                    ):
                        m.next = "ITEMS"
                    with m.Case(MessageType.FIR_START):
                        m.d.sync += [testing.eq(0), total.eq(0), *start_job()]
                        m.next = "START"
                    with m.Case(MessageType.SELFTEST):
                        m.d.sync += [testing.eq(1), total.eq(test["samples"]), *start_job()]
                        m.next = "START"
                    if MessageType.MC_START in requests:
                        with m.Case(MessageType.MC_START), m.If(~same_mc):
                            m.d.sync += [total.eq(mc["instants"]), offset.eq(0), *start_job()]
                            m.next = "SEED_ADDRESS"
            with m.State("SEED_ADDRESS"):
                m.d.sync += offset.eq(offset + 1)
                m.next = "SEED"
            with m.State("SEED"):
                m.d.comb += keep_seed.en.eq(1)
                m.next = "SEED_ADDRESS"
                with m.If(offset == SEED_BYTES):
                    m.next = "START"
            with m.State("START"):
                m.next = "ANSWER"
                with m.Switch(port.type):
                    for message, strobe, begun in (
                        (MessageType.FIR_START, datapath.start_fir, State.FIR),
                        (MessageType.SELFTEST, datapath.start_selftest, State.SELFTEST),
                        (MessageType.MC_START, datapath.start_mc, State.MC),
                    ):
                        if message in requests:
                            with m.Case(message):
                                m.d.comb += strobe.eq(1)
                                m.d.sync += state.eq(begun)
            with m.State("ITEMS"):
                m.d.sync += byte.eq(0)
                with m.If(offset == port.length):
                    m.next = "ANSWER"
                with m.Else():
                    m.next = "ITEM_ADDRESS"
            with m.State("ITEM_ADDRESS"):
                m.d.sync += [offset.eq(offset + 1), byte.eq(byte + 1)]
                m.next = "ITEM"
            with m.State("ITEM"):
                m.d.sync += item.eq(Cat(item[8:], port.data))
                with m.If(byte == item_bytes):
                    m.next = "TAKE"
                with m.Else():
                    m.next = "ITEM_ADDRESS"
            with m.State("TAKE"):
                m.d.sync += number.eq(number + 1)
                m.next = "ITEMS"
                with m.Switch(port.type):
                    with m.Case(MessageType.LOAD_COEFFS):
                        m.d.comb += datapath.coefficient_write.enable.eq(1)
                    with m.Case(MessageType.LOAD_FILTERS):
                        m.d.comb += datapath.filter_write.enable.eq(entry_in_range)
                        with m.If(~entry_in_range):
                            refuse(NakCode.RANGE)
                    with m.Case(MessageType.FIR_IO):
                        # The bank is ready, because there is room.
                        m.d.comb += datapath.samples.valid.eq(1)
                        m.d.sync += position.eq(position + 1)
            with m.State("ANSWER"):
                m.d.comb += [port.answered.eq(1), words.begin.eq(port.code == 0)]
                m.next = "REPLY"
                with m.If(port.code != 0):
                    m.next = "REST"
            with m.State("REPLY"):
                m.d.comb += port.done.eq(words.done)
                with m.If(port.reply.ready & words.done):
                    m.next = "REST"
        return m
