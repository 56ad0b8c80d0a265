"""What each request does: its limits, its effect on the data path, its reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gateware.datapath.ports import DatapathSignature
from gateware.identity import Identity
from gateware.layouts import pack, unpack
from gateware.uart import DIVISOR_BITS
from schemas.hwlink import (
    COEFFICIENTS,
    COUNTS_PER_FRAME,
    FILTERS,
    HISTOGRAM_BINS,
    MAGIC,
    MAX_OCTAVES,
    MAX_ROWS,
    MAX_SHIFT,
    MAX_STEP,
    MAX_TAPS,
    MC_MAX_BINNED_ROWS,
    MC_MAX_DECIMATIONS,
    MC_MAX_NOISE_SHIFT,
    MC_MAX_ROWS,
    MIN_DIVISOR,
    OUTPUT_ROOM,
    OUTPUTS_PER_FRAME,
    SAMPLE_ROOM,
    Feature,
    MessageType,
    NakCode,
    State,
)
from schemas.hwlink_layouts import (
    FilterEntry,
    FirIo,
    FirReply,
    FirStart,
    HelloReply,
    HelloRequest,
    Histogram,
    Layout,
    LoadCoeffs,
    LoadFilters,
    McStart,
    Selftest,
    SetBaud,
    Status,
)

__all__ = ["CommandPort", "Commands"]


class CommandPort(wiring.Signature):
    """Between the session and what executes, seen from the session.

    `go` is high, with `type`, `job` and `length` of the payload, until `answered` gives `code` (0:
    done). `data` is the payload's byte at `offset` of the clock before. Of what was done, `reply`
    then brings the payload's bytes; `done`, while `reply` is ready, says that there are no more.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "go": Out(1),
                "type": Out(8),
                "job": Out(16),
                "length": Out(8),
                "data": Out(8),
                "offset": In(8),
                "answered": In(1),
                "code": In(8),
                "reply": In(stream.Signature(8)),
                "done": In(1),
            }
        )


@dataclass(frozen=True)
class Shape:
    """Of a request's payload: the fixed part, then items of some bytes, at least `least`."""

    fixed: type[Layout] | None = None
    item_bytes: int = 0
    least: int = 0

    @property
    def fixed_bytes(self) -> int:
        return self.fixed.FORMAT.size if self.fixed else 0


SHAPES = {
    MessageType.HELLO: Shape(HelloRequest),
    MessageType.STATUS: Shape(),
    MessageType.SET_BAUD: Shape(SetBaud),
    MessageType.CONFIRM_BAUD: Shape(),
    MessageType.RESET: Shape(),
    MessageType.ABORT: Shape(),
    MessageType.LOAD_COEFFS: Shape(LoadCoeffs, 4, 1),
    MessageType.LOAD_FILTERS: Shape(LoadFilters, FilterEntry.FORMAT.size, 1),
    MessageType.FIR_START: Shape(FirStart),
    MessageType.FIR_IO: Shape(FirIo, 2),
    MessageType.SELFTEST: Shape(Selftest),
    MessageType.MC_START: Shape(McStart),
    MessageType.MC_HISTOGRAM: Shape(Histogram),
}

#: A request that is not here needs no feature, or one of several.
NEEDS = {
    MessageType.SET_BAUD: Feature.BAUD,
    MessageType.CONFIRM_BAUD: Feature.BAUD,
    MessageType.LOAD_COEFFS: Feature.FIR | Feature.MC,
    MessageType.LOAD_FILTERS: Feature.FIR | Feature.MC,
    MessageType.FIR_START: Feature.FIR,
    MessageType.FIR_IO: Feature.FIR,
    MessageType.SELFTEST: Feature.SELFTEST,
    MessageType.MC_START: Feature.MC,
    MessageType.MC_HISTOGRAM: Feature.MC,
}

#: Bytes of the longest fixed part.
FIELD_BYTES = McStart.FORMAT.size
ITEM_BYTES = FilterEntry.FORMAT.size


class Commands(wiring.Component):
    """Executes requests, one at a time, on a data path.

    Attributes
    ----------
    port
        The session's; see `CommandPort`.
    datapath
        See `DatapathSignature`.
    boot_nonce, bad_frames, divisor
        For HELLO and STATUS.
    wanted, confirm
        The divisor of the last SET_BAUD; high for a clock on CONFIRM_BAUD.
    working
        A job goes on that does not wait for the host.
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
        """Build it."""
        m = Module()
        port, datapath = self.port, self.datapath
        features = self.identity.features
        requests = [
            message for message in MessageType if message not in NEEDS or features & NEEDS[message]
        ]

        state = Signal(State)
        job = Signal(16)
        mc_seed = Signal(128)
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

        # The request: its fixed part, and the item that is being read, at the top of each.
        fixed = Signal(8 * FIELD_BYTES)
        item = Signal(8 * ITEM_BYTES)
        fixed_bytes = Signal(range(FIELD_BYTES + 1))
        item_bytes = Signal(range(ITEM_BYTES + 1))
        rest = Signal(8)
        items = Signal(8)
        fits = Signal()
        known = Signal()
        with m.Switch(port.type):
            for message in requests:
                shape = SHAPES[message]
                with m.Case(message):
                    m.d.comb += [
                        known.eq(1),
                        fixed_bytes.eq(shape.fixed_bytes),
                        item_bytes.eq(shape.item_bytes),
                        rest.eq(port.length - shape.fixed_bytes),
                    ]
                    if shape.item_bytes:
                        shift = shape.item_bytes.bit_length() - 1
                        m.d.comb += [
                            items.eq(rest >> shift),
                            fits.eq(
                                (port.length >= shape.fixed_bytes + shape.least * shape.item_bytes)
                                & (rest[:shift] == 0)
                            ),
                        ]
                    else:
                        m.d.comb += fits.eq(port.length == shape.fixed_bytes)

        coeffs = unpack(fixed, LoadCoeffs)
        filters = unpack(fixed, LoadFilters)
        entry = unpack(item, FilterEntry)
        start = unpack(fixed, FirStart)
        test = unpack(fixed, Selftest)
        fir = unpack(fixed, FirIo)
        mc = unpack(fixed, McStart)
        histogram = unpack(fixed, Histogram)
        same_mc = (
            ((state == State.MC) | (state == State.MC_DONE))
            & (mc["seed"] == mc_seed)
            & (port.job == job)
        )

        # What a refusal depends on, in the order in which the page lists refusals.
        in_range = Signal(init=1)
        needs_rest = Signal()
        right_job = Signal(init=1)
        with m.Switch(port.type):
            for message, fine in {
                MessageType.HELLO: unpack(fixed, HelloRequest)["magic"]
                == int.from_bytes(MAGIC, "little"),
                MessageType.SET_BAUD: unpack(fixed, SetBaud)["divisor"] >= MIN_DIVISOR,
                MessageType.LOAD_COEFFS: coeffs["first"] + items <= COEFFICIENTS,
                MessageType.LOAD_FILTERS: filters["first"] + items <= FILTERS,
                MessageType.FIR_START: bank_fits(start),
                MessageType.SELFTEST: bank_fits(test) & test["seed"].any() & test["samples"].any(),
                MessageType.MC_START: mc_fits(mc),
                MessageType.MC_HISTOGRAM: (histogram["row"] < MC_MAX_BINNED_ROWS)
                & within(histogram["count"], 1, COUNTS_PER_FRAME)
                & (histogram["first"] + histogram["count"] <= HISTOGRAM_BINS),
            }.items():
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
        entry_in_range = (
            within(entry["length"], 1, MAX_TAPS)
            & (entry["start"] + entry["length"] <= COEFFICIENTS)
            & (entry["shift"] <= MAX_SHIFT)
            & (entry["step"] <= MAX_STEP)
        )

        m.d.comb += [
            datapath.coefficient_write.data.eq(item[-32:]),
            datapath.filter_write.data.start.eq(entry["start"]),
            datapath.filter_write.data.length.eq(entry["length"]),
            datapath.filter_write.data.shift.eq(entry["shift"]),
            datapath.filter_write.data.step.eq(entry["step"]),
            datapath.samples.payload.eq(item[-16:].as_signed()),
            datapath.selftest.seed.eq(test["seed"]),
            datapath.selftest.samples.eq(test["samples"]),
            *(getattr(datapath.mc, name).eq(mc[name]) for name in datapath.mc.shape().members),
        ]
        for message, source in (
            (MessageType.FIR_START, start),
            (MessageType.SELFTEST, test),
        ):
            with m.If(port.type == message):
                m.d.comb += [
                    getattr(datapath.bank, name).eq(source[name])
                    for name in datapath.bank.shape().members
                ]

        # The reply: a picture of one moment, then what the data path brings.
        picture = Signal(8 * Status.FORMAT.size)
        picture_bytes = Signal(range(HelloReply.FORMAT.size + 1))
        extras = Signal(range(COUNTS_PER_FRAME + 1))
        hello = pack(
            HelloReply,
            boot_nonce=self.boot_nonce,
            build_hash=self.identity.build_hash,
            clock_hz=self.identity.clock_hz,
            confirm_clocks=self.identity.confirm_clocks,
            features=int(features),
            divisor=self.divisor,
            lanes=self.identity.lanes,
            coefficients=COEFFICIENTS,
            taps=MAX_TAPS,
            coefficient_bits=16,
            sample_bits=16,
        )
        hello_bytes = Array(hello.word_select(i, 8) for i in range(HelloReply.FORMAT.size))
        status = pack(
            Status,
            boot_nonce=self.boot_nonce,
            state=state,
            job=job,
            bad_frames=self.bad_frames,
            saturations=datapath.saturations,
            done=datapath.done,
            total=total,
            outputs=datapath.made,
            signature=datapath.crc,
            sample_room=datapath.sample_room,
            outputs_ready=datapath.outputs_ready,
        )
        fir_reply = pack(FirReply, first=fetched, sample_room=datapath.sample_room)

        offset = Signal(8)
        byte = Signal(range(max(FIELD_BYTES, HelloReply.FORMAT.size) + 1))
        number = Signal(16)
        extra = Signal(32)
        m.d.comb += port.offset.eq(offset)

        def refuse(code: NakCode) -> None:
            m.d.sync += port.code.eq(code)
            m.next = "ANSWER"

        def start_job() -> list[Any]:
            return [job.eq(port.job), position.eq(0), fetched.eq(0)]

        with m.FSM():
            with m.State("REST"):
                m.d.sync += [offset.eq(0), byte.eq(0), port.code.eq(0)]
                m.d.sync += [picture_bytes.eq(0), extras.eq(0)]
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
                m.d.sync += fixed.eq(Cat(fixed[8:], port.data))
                with m.If(offset == fixed_bytes):
                    m.next = "JUDGE"
                with m.Else():
                    m.next = "FIXED_ADDRESS"
            with m.State("JUDGE"):
                m.next = "DO"
                with m.If(~in_range):
                    refuse(NakCode.RANGE)
                with m.Elif(needs_rest & busy):
                    refuse(NakCode.BUSY)
                with m.Elif(~right_job):
                    refuse(NakCode.JOB)
                if MessageType.FIR_IO in requests:
                    with m.Elif(port.type == MessageType.FIR_IO):
                        with m.If(fir["first"] != position):
                            refuse(NakCode.POSITION)
                        with m.Elif(items > datapath.sample_room):
                            refuse(NakCode.NO_ROOM)
            with m.State("DO"):
                m.d.sync += number.eq(coeffs["first"])
                m.next = "ANSWER"
                with m.Switch(port.type):
                    with m.Case(MessageType.HELLO):
                        m.d.sync += picture_bytes.eq(HelloReply.FORMAT.size)
                    with m.Case(MessageType.STATUS):
                        m.d.sync += [picture.eq(status), picture_bytes.eq(Status.FORMAT.size)]
                    if Feature.BAUD in features:
                        with m.Case(MessageType.SET_BAUD):
                            m.d.sync += self.wanted.eq(unpack(fixed, SetBaud)["divisor"])
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
                        m.d.comb += datapath.start_fir.eq(1)
                        m.d.sync += [state.eq(State.FIR), total.eq(0), *start_job()]
                    with m.Case(MessageType.SELFTEST):
                        m.d.comb += datapath.start_selftest.eq(1)
                        m.d.sync += [state.eq(State.SELFTEST), total.eq(test["samples"])]
                        m.d.sync += start_job()
                    if MessageType.MC_START in requests:
                        with m.Case(MessageType.MC_START), m.If(~same_mc):
                            m.d.comb += datapath.start_mc.eq(1)
                            m.d.sync += [
                                state.eq(State.MC),
                                total.eq(mc["instants"]),
                                mc_seed.eq(mc["seed"]),
                                *start_job(),
                            ]
                        with m.Case(MessageType.MC_HISTOGRAM):
                            m.d.sync += [
                                picture.eq(fixed[-8 * Histogram.FORMAT.size :]),
                                picture_bytes.eq(Histogram.FORMAT.size),
                                extras.eq(histogram["count"]),
                                number.eq(Cat(histogram["first"], histogram["row"])),
                            ]
            with m.State("ITEMS"):
                m.d.sync += byte.eq(0)
                with m.If(offset == port.length):
                    m.next = "ITEMS_DONE"
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
                        # There is room, so the bank is ready.
                        m.d.comb += datapath.samples.valid.eq(1)
                        m.d.sync += position.eq(position + 1)
            with m.State("ITEMS_DONE"):
                m.next = "ANSWER"
                if MessageType.FIR_IO in requests:
                    with m.If(port.type == MessageType.FIR_IO):
                        m.d.sync += [
                            picture.eq(fir_reply),
                            picture_bytes.eq(FirReply.FORMAT.size),
                            extras.eq(
                                Mux(
                                    datapath.outputs_ready > OUTPUTS_PER_FRAME,
                                    OUTPUTS_PER_FRAME,
                                    datapath.outputs_ready,
                                )
                            ),
                        ]
            with m.State("ANSWER"):
                m.d.comb += port.answered.eq(1)
                m.d.sync += byte.eq(0)
                m.next = "PICTURE"
                with m.If(port.code != 0):
                    m.next = "REST"
            with m.State("PICTURE"):
                m.d.comb += [
                    port.reply.valid.eq(byte != picture_bytes),
                    port.reply.payload.eq(
                        Mux(port.type == MessageType.HELLO, hello_bytes[byte], picture[:8])
                    ),
                ]
                with m.If(port.reply.ready):
                    m.d.sync += [byte.eq(byte + 1), picture.eq(picture >> 8)]
                    with m.If(byte == picture_bytes):
                        m.d.sync += byte.eq(0)
                        m.next = "EXTRAS"
            with m.State("EXTRAS"):
                with m.If(extras == 0):
                    m.d.comb += port.done.eq(1)
                    m.next = "REST"
                with m.Elif(port.type == MessageType.FIR_IO):
                    m.d.comb += datapath.outputs.ready.eq(1)
                    with m.If(datapath.outputs.valid):
                        m.d.sync += [
                            extra.eq(Value.cast(datapath.outputs.payload)),
                            fetched.eq(fetched + 1),
                        ]
                        m.next = "EXTRA"
                with m.Else():
                    m.d.comb += datapath.histogram_address.valid.eq(1)
                    with m.If(datapath.histogram_address.ready):
                        m.next = "COUNT"
            with m.State("COUNT"):
                m.d.comb += datapath.histogram_count.ready.eq(1)
                with m.If(datapath.histogram_count.valid):
                    m.d.sync += [extra.eq(datapath.histogram_count.payload), number.eq(number + 1)]
                    m.next = "EXTRA"
            with m.State("EXTRA"):
                m.d.comb += [port.reply.valid.eq(1), port.reply.payload.eq(extra[:8])]
                with m.If(port.reply.ready):
                    m.d.sync += [byte.eq(byte + 1), extra.eq(extra >> 8)]
                    with m.If(byte == 3):
                        m.d.sync += [byte.eq(0), extras.eq(extras - 1)]
                        m.next = "EXTRAS"
        m.d.comb += [
            datapath.coefficient_write.address.eq(number),
            datapath.filter_write.address.eq(number),
            datapath.histogram_address.payload.eq(number),
        ]
        return m


def within(value: Any, least: int, most: int) -> Any:
    """Return whether `value` is from `least` to `most`, as a wire."""
    return (value >= least) & (value <= most)


def bank_fits(fields: dict[str, Any]) -> Any:
    """Return whether the bank can be started so."""
    return (
        within(fields["octaves"], 1, MAX_OCTAVES)
        & within(fields["rows"], 1, MAX_ROWS)
        & (fields["decimator"] < FILTERS)
    )


def mc_fits(fields: dict[str, Any]) -> Any:
    """Return whether a pass of Monte Carlo can be started so."""
    return (
        fields["seed"].any()
        & fields["instants"].any()
        & (fields["noise_shift"] <= MC_MAX_NOISE_SHIFT)
        & (fields["decimations"] <= MC_MAX_DECIMATIONS)
        & (fields["step"] <= MAX_STEP)
        & within(fields["rows"], 1, MC_MAX_ROWS)
        & (fields["first"] <= MC_MAX_ROWS)
        & within(fields["count"], 1, MC_MAX_BINNED_ROWS)
        & (fields["product_shift"] <= MAX_SHIFT)
        & (fields["decimator"] < FILTERS)
        & (fields["boxcar"] < FILTERS)
    )
