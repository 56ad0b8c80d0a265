"""The data path: memories, engine, rounder, and the two sequencers that share them."""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import fifo, wiring

from gateware.datapath.bank import Bank
from gateware.datapath.binning import Binning
from gateware.datapath.commands import Target
from gateware.datapath.engine import Engine
from gateware.datapath.filter_table import FilterTable
from gateware.datapath.histogram import COUNTS, Histograms
from gateware.datapath.memories import SAMPLE_WORDS, Coefficients, ProductHistory, SampleHistory
from gateware.datapath.monte_carlo import MonteCarlo
from gateware.datapath.noise import Noise
from gateware.datapath.ports import BankSettings, DatapathSignature, McSettings, SelftestSettings
from gateware.datapath.products import Products
from gateware.datapath.rounder import Rounder
from gateware.datapath.selftest import SelftestSamples, Signature
from schemas.hwlink import OUTPUT_ROOM, SAMPLE_ROOM

__all__ = ["BANK_CLEAR_CLOCKS", "MC_CLEAR_CLOCKS", "Datapath"]

#: Clocks after a start in which the histories are cleared, and with Monte Carlo the histograms; the
#: longest take 0.11 ms at 27 MHz.
BANK_CLEAR_CLOCKS = SAMPLE_WORDS
MC_CLEAR_CLOCKS = COUNTS


class _Job(IntEnum):
    """What runs, or has run."""

    NONE = 0
    FIR = 1
    SELFTEST = 2
    MC = 3


class Datapath(wiring.Component):
    """The arithmetic of the device; `ports.DatapathSignature` says what goes in and out."""

    def __init__(self) -> None:
        super().__init__(DatapathSignature().flip())

    def elaborate(self, _platform: object) -> Module:
        """Build it."""
        m = Module()
        start, reset = Signal(), Signal()
        m.d.comb += [
            start.eq(self.start_fir | self.start_selftest | self.start_mc),
            reset.eq(start | self.abort),
        ]
        per_job = ResetInserter(reset)

        # Memories stay; whatever has a state of the job begins anew with it.
        m.submodules.coefficients = coefficients = Coefficients()
        m.submodules.filters = filters = FilterTable()
        m.submodules.samples = samples = SampleHistory()
        m.submodules.products = products = ProductHistory()
        m.submodules.histograms = histograms = Histograms()
        engine, rounder, bank, selftest, signature = (
            Engine(),
            Rounder(),
            Bank(),
            SelftestSamples(),
            Signature(),
        )
        noise, monte_carlo, multiplier, binning = Noise(), MonteCarlo(), Products(), Binning()
        waiting = fifo.SyncFIFOBuffered(width=16, depth=SAMPLE_ROOM)
        outputs = fifo.SyncFIFOBuffered(width=32, depth=OUTPUT_ROOM)
        m.submodules.engine = per_job(engine)
        m.submodules.rounder = per_job(rounder)
        m.submodules.bank = per_job(bank)
        m.submodules.selftest = per_job(selftest)
        m.submodules.signature = per_job(signature)
        m.submodules.noise = per_job(noise)
        m.submodules.monte_carlo = per_job(monte_carlo)
        m.submodules.multiplier = per_job(multiplier)
        m.submodules.binning = per_job(binning)
        m.submodules.waiting = per_job(waiting)
        m.submodules.outputs = per_job(outputs)

        # What runs.
        job = Signal(_Job)
        bank_settings, selftest_settings = Signal(BankSettings), Signal(SelftestSettings)
        mc_settings = Signal(McSettings)
        clearing, clear_word = Signal(), Signal(range(MC_CLEAR_CLOCKS))
        last_word = Mux(job == _Job.MC, MC_CLEAR_CLOCKS - 1, BANK_CLEAR_CLOCKS - 1)
        with m.If(clearing):
            m.d.sync += [clear_word.eq(clear_word + 1), clearing.eq(clear_word != last_word)]
        with m.If(self.abort):
            m.d.sync += [job.eq(_Job.NONE), clearing.eq(0)]
        with m.If(start):
            m.d.sync += [
                clearing.eq(1),
                clear_word.eq(0),
                bank_settings.eq(self.bank),
                selftest_settings.eq(self.selftest),
                mc_settings.eq(self.mc),
                job.eq(Mux(self.start_fir, _Job.FIR, Mux(self.start_mc, _Job.MC, _Job.SELFTEST))),
            ]
        of_fir, of_selftest, of_mc = job == _Job.FIR, job == _Job.SELFTEST, job == _Job.MC
        m.d.comb += [
            samples.clear.eq(clearing),
            samples.clear_word.eq(clear_word),
            products.clear.eq(clearing),
            products.clear_word.eq(clear_word),
            histograms.clear.eq(clearing & of_mc),
            histograms.clear_word.eq(clear_word),
            bank.settings.eq(bank_settings),
            selftest.settings.eq(selftest_settings),
            noise.settings.eq(mc_settings),
            monte_carlo.settings.eq(mc_settings),
            selftest.run.eq(of_selftest & ~clearing),
            noise.run.eq(of_mc & ~clearing),
        ]

        # What the link writes goes to the memories; who works reads them.
        wiring.connect(m, wiring.flipped(self.coefficient_write), coefficients.write)
        wiring.connect(m, wiring.flipped(self.filter_write), filters.write)
        m.d.comb += [
            filters.address.eq(Mux(of_mc, monte_carlo.filter_address, bank.filter_address)),
            bank.filter_row.eq(filters.row),
            monte_carlo.filter_row.eq(filters.row),
            coefficients.address.eq(engine.coefficient_address),
            engine.coefficients.eq(coefficients.pair),
            samples.words.eq(engine.sample_words),
            engine.samples.eq(samples.found),
            products.words.eq(engine.product_words),
            engine.products.eq(products.found),
            products.enable.eq(monte_carlo.keep),
            products.slot.eq(monte_carlo.row),
            products.place.eq(monte_carlo.instant),
            products.quad.eq(monte_carlo.quad),
            samples.both.eq(of_mc),
        ]
        with m.If(of_mc):
            m.d.comb += [
                samples.enable.eq(monte_carlo.store),
                samples.slot.eq(monte_carlo.level),
                samples.place.eq(monte_carlo.place),
                samples.pair.eq(monte_carlo.pair),
                engine.command.payload.eq(monte_carlo.command.payload),
                engine.command.valid.eq(monte_carlo.command.valid),
                monte_carlo.command.ready.eq(engine.command.ready),
            ]
        with m.Else():
            m.d.comb += [
                samples.enable.eq(bank.store),
                samples.slot.eq(bank.slot),
                samples.place.eq(bank.place),
                samples.pair[0].eq(bank.sample),
                samples.pair[1].eq(bank.sample),
                engine.command.payload.eq(bank.command.payload),
                engine.command.valid.eq(bank.command.valid),
                bank.command.ready.eq(engine.command.ready),
            ]

        # Sums and products to the rounder; products cannot wait.
        m.d.comb += [
            rounder.valid.eq(engine.sums.valid | multiplier.sum_valid),
            rounder.sum.eq(Mux(multiplier.sum_valid, multiplier.sum, engine.sums.payload)),
            engine.sums.ready.eq(~multiplier.sum_valid),
        ]
        for consumer in (bank, monte_carlo, multiplier):
            m.d.comb += [
                consumer.result_valid.eq(rounder.result_valid),
                consumer.result.eq(rounder.result),
            ]
        with m.If(rounder.result_valid & rounder.result.limited & (self.saturations != 0xFFFF)):
            m.d.sync += self.saturations.eq(self.saturations + 1)

        # The bank's samples and outputs.
        m.d.comb += [
            waiting.w_data.eq(self.samples.payload),
            waiting.w_en.eq(self.samples.valid & of_fir),
            self.samples.ready.eq(waiting.w_rdy & of_fir),
            self.sample_room.eq(SAMPLE_ROOM - waiting.level),
        ]
        with m.If(of_fir & ~clearing):
            m.d.comb += [
                bank.samples.payload.eq(waiting.r_data),
                bank.samples.valid.eq(waiting.r_rdy),
                waiting.r_en.eq(bank.samples.ready),
            ]
        with m.Else():
            m.d.comb += [
                bank.samples.payload.eq(selftest.samples.payload),
                bank.samples.valid.eq(selftest.samples.valid),
                selftest.samples.ready.eq(bank.samples.ready),
            ]
        real = Signal(16)
        output = rounder.result_valid & (rounder.result.target == Target.OUTPUT)
        complete = Signal()
        m.d.comb += complete.eq(output & rounder.result.last)
        with m.If(output):
            m.d.sync += real.eq(rounder.result.value)
        m.d.comb += [
            signature.valid.eq(output & of_selftest),
            signature.value.eq(rounder.result.value),
            outputs.w_data.eq(Cat(real, rounder.result.value[:16])),
            outputs.w_en.eq(complete & of_fir),
            self.outputs.payload.eq(outputs.r_data),
            self.outputs.valid.eq(outputs.r_rdy),
            outputs.r_en.eq(self.outputs.ready),
            self.outputs_ready.eq(outputs.level),
            bank.put_out.eq(Mux(of_selftest, complete, self.outputs.valid & self.outputs.ready)),
        ]
        # Monte Carlo: from noise to histograms.
        wiring.connect(m, noise.pairs, monte_carlo.pairs)
        wiring.connect(m, multiplier.ratios, binning.ratios)
        wiring.connect(m, wiring.flipped(self.histogram_address), histograms.addresses)
        wiring.connect(m, histograms.counts, wiring.flipped(self.histogram_count))
        m.d.comb += [
            multiplier.shift.eq(mc_settings.product_shift),
            binning.rows.eq(mc_settings.count),
            monte_carlo.ratio_settled.eq(binning.settled),
            histograms.bumps.payload.eq(Cat(binning.bins.payload, binning.row)),
            histograms.bumps.valid.eq(binning.bins.valid),
            binning.bins.ready.eq(histograms.bumps.ready),
        ]

        # What STATUS says.
        worked_off, made = Signal(32), Signal(32)
        m.d.sync += [worked_off.eq(worked_off + bank.worked_off), made.eq(made + complete)]
        with m.If(reset):
            m.d.sync += [worked_off.eq(0), made.eq(0), self.saturations.eq(0)]
        m.d.comb += [
            self.done.eq(Mux(of_mc, monte_carlo.done, worked_off)),
            self.made.eq(made),
            self.crc.eq(Mux(of_selftest, signature.crc, 0)),
            self.finished.eq(
                (of_selftest & selftest.exhausted & bank.idle)
                | (of_mc & ~clearing & monte_carlo.finished)
            ),
        ]
        return m
