"""The data path: memories, engine, rounder, and the two sequencers that share them."""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import fifo, wiring

from cwt_gateware.datapath.bank import Bank
from cwt_gateware.datapath.binning import Binning
from cwt_gateware.datapath.commands import Target
from cwt_gateware.datapath.engine import Engine
from cwt_gateware.datapath.filter_table import FilterTable
from cwt_gateware.datapath.histogram import COUNTS, Histograms
from cwt_gateware.datapath.memories import SAMPLE_WORDS, Coefficients, ProductHistory, SampleHistory
from cwt_gateware.datapath.monte_carlo import MonteCarlo
from cwt_gateware.datapath.noise import Noise
from cwt_gateware.datapath.ports import BankSettings, DatapathSignature, McSettings
from cwt_gateware.datapath.products import Products
from cwt_gateware.datapath.rounder import Rounder
from cwt_gateware.datapath.selftest import SelftestSamples, Signature
from cwt_schemas.hwlink import OUTPUT_ROOM, SAMPLE_ROOM

__all__ = ["BANK_CLEAR_CLOCKS", "MC_CLEAR_CLOCKS", "Datapath"]

#: Clocks after a start in which the histories are cleared, and with Monte Carlo the histograms; at
#: most 0.11 ms at 27 MHz.
BANK_CLEAR_CLOCKS = SAMPLE_WORDS
MC_CLEAR_CLOCKS = COUNTS


class _Job(IntEnum):
    """The current or last kind of job."""

    NONE = 0
    FIR = 1
    SELFTEST = 2
    MC = 3


class Datapath(wiring.Component):
    """The arithmetic of the device; `ports.DatapathSignature` documents the ports."""

    def __init__(self) -> None:
        super().__init__(DatapathSignature().flip())

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        start, reset = Signal(), Signal()
        m.d.comb += [
            start.eq(self.start_fir | self.start_selftest | self.start_mc),
            reset.eq(start | self.abort),
        ]
        per_job = ResetInserter(reset)

        # Memories are kept; components with job state are reset for each job.
        m.submodules.coefficients = coefficients = Coefficients()
        m.submodules.filters = filters = FilterTable()
        m.submodules.samples = samples = SampleHistory()
        m.submodules.products = products = ProductHistory()
        m.submodules.histograms = histograms = Histograms()
        m.submodules.selftest = selftest = SelftestSamples()
        engine, rounder, bank, signature = Engine(), Rounder(), Bank(), Signature()
        noise, monte_carlo, multiplier, binning = Noise(), MonteCarlo(), Products(), Binning()
        waiting = fifo.SyncFIFOBuffered(width=16, depth=SAMPLE_ROOM)
        outputs = fifo.SyncFIFOBuffered(width=32, depth=OUTPUT_ROOM)
        m.submodules.engine = per_job(engine)
        m.submodules.rounder = per_job(rounder)
        m.submodules.bank = per_job(bank)
        m.submodules.signature = per_job(signature)
        m.submodules.noise = per_job(noise)
        m.submodules.monte_carlo = per_job(monte_carlo)
        m.submodules.multiplier = per_job(multiplier)
        m.submodules.binning = per_job(binning)
        m.submodules.waiting = per_job(waiting)
        m.submodules.outputs = per_job(outputs)

        # The running job.
        job = Signal(_Job)
        bank_settings, mc_settings, selftest_samples = (
            Signal(BankSettings),
            Signal(McSettings),
            Signal(32),
        )
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
                selftest_samples.eq(self.selftest.samples),
                job.eq(Mux(self.start_fir, _Job.FIR, Mux(self.start_mc, _Job.MC, _Job.SELFTEST))),
            ]
            # Each seed is connected only to its user.
            for name in mc_settings.shape().members:
                if name != "seed":
                    m.d.sync += mc_settings[name].eq(self.mc[name])
        of_fir, of_selftest, of_mc = job == _Job.FIR, job == _Job.SELFTEST, job == _Job.MC
        m.d.comb += [
            selftest.load.eq(self.start_selftest),
            selftest.seed.eq(self.selftest.seed),
            noise.load.eq(self.start_mc),
            noise.seed.eq(self.mc.seed),
            noise.settings.eq(mc_settings),
            samples.clear.eq(clearing),
            samples.clear_word.eq(clear_word),
            products.clear.eq(clearing),
            products.clear_word.eq(clear_word),
            histograms.clear.eq(clearing & of_mc),
            histograms.clear_word.eq(clear_word),
            bank.settings.eq(bank_settings),
            monte_carlo.settings.eq(mc_settings),
        ]

        # The link writes the memories; the active sequencer reads them.
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
            products.quad.eq(multiplier.quad),
        ]
        with m.If(of_mc):
            m.d.comb += [
                samples.halves.eq(monte_carlo.store),
                samples.slot.eq(monte_carlo.level),
                samples.place.eq(monte_carlo.place),
                samples.pair.eq(noise.pairs.payload),
                engine.command.payload.eq(monte_carlo.command.payload),
                engine.command.valid.eq(monte_carlo.command.valid),
                monte_carlo.command.ready.eq(engine.command.ready),
            ]
        with m.Else():
            m.d.comb += [
                samples.halves.eq(Mux(bank.place[7], bank.store << 1, bank.store)),
                samples.slot.eq(bank.slot),
                samples.place.eq(bank.place),
                samples.pair[0].eq(bank.samples.payload),
                samples.pair[1].eq(bank.samples.payload),
                engine.command.payload.eq(bank.command.payload),
                engine.command.valid.eq(bank.command.valid),
                bank.command.ready.eq(engine.command.ready),
            ]
        result = rounder.result
        with m.If(rounder.result_valid & (result.target == Target.SAMPLE)):
            m.d.comb += [half.eq(result.value) for half in samples.pair]

        # Sums and products to the rounder; products cannot wait.
        m.d.comb += [
            rounder.valid.eq((engine.sums.valid & ~multiplier.busy) | multiplier.sum_valid),
            rounder.sum.eq(Mux(multiplier.sum_valid, multiplier.sum, engine.sums.payload)),
            engine.sums.ready.eq(~multiplier.busy),
        ]
        for consumer in (bank, monte_carlo, multiplier):
            m.d.comb += [
                consumer.result_valid.eq(rounder.result_valid),
                consumer.result.eq(result),
            ]
        # The imaginary part of a sample for the next octave is computed too, but is ignored.
        unused = (result.target == Target.SAMPLE) & result.index[0]
        limited = rounder.result_valid & result.limited & ~unused
        with m.If(limited & ~self.saturations.all()):
            m.d.sync += self.saturations.eq(self.saturations + 1)

        # The bank's samples and outputs.
        worked_off, made = Signal(32), Signal(32)
        left = worked_off != selftest_samples
        m.d.comb += [
            waiting.w_data.eq(self.samples.payload),
            waiting.w_en.eq(self.samples.valid & of_fir),
            self.samples.ready.eq(waiting.w_rdy & of_fir),
            self.sample_room.eq(SAMPLE_ROOM - waiting.level),
            bank.samples.payload.eq(Mux(of_fir, waiting.r_data, selftest.samples.payload)),
            bank.samples.valid.eq(~clearing & Mux(of_fir, waiting.r_rdy, of_selftest & left)),
            waiting.r_en.eq(bank.samples.ready & of_fir),
            selftest.samples.ready.eq(bank.samples.ready & of_selftest),
        ]
        real, output, complete = Signal(16), Signal(), Signal()
        m.d.comb += [
            output.eq(rounder.result_valid & (result.target == Target.OUTPUT)),
            complete.eq(output & result.last),
        ]
        with m.If(output):
            m.d.sync += real.eq(result.value)
        m.d.comb += [
            signature.valid.eq(output & of_selftest),
            signature.value.eq(result.value),
            outputs.w_data.eq(Cat(real, result.value[:16])),
            outputs.w_en.eq(complete & of_fir),
            self.outputs.payload.eq(outputs.r_data),
            self.outputs.valid.eq(outputs.r_rdy),
            outputs.r_en.eq(self.outputs.ready),
            self.outputs_ready.eq(outputs.level),
            bank.put_out.eq(Mux(of_selftest, complete, self.outputs.valid & self.outputs.ready)),
        ]

        # Monte Carlo: from noise to histograms.
        wiring.connect(m, noise.pairs, monte_carlo.pairs)
        wiring.connect(m, wiring.flipped(self.histogram_address), histograms.addresses)
        wiring.connect(m, histograms.counts, wiring.flipped(self.histogram_count))
        m.d.comb += [
            monte_carlo.running.eq(of_mc & ~clearing),
            multiplier.shift.eq(mc_settings.product_shift),
            multiplier.divider_ready.eq(binning.ready),
            binning.rows.eq(mc_settings.count),
            binning.numerator_valid.eq(multiplier.numerator_valid),
            binning.ratio_valid.eq(multiplier.ratio_valid),
            binning.term.eq(multiplier.term),
            binning.positive.eq(multiplier.positive),
            monte_carlo.ratio_settled.eq(binning.settled),
            monte_carlo.done.eq(worked_off),
            histograms.bumps.payload.eq(Cat(binning.bins.payload, binning.row)),
            histograms.bumps.valid.eq(binning.bins.valid),
            binning.bins.ready.eq(histograms.bumps.ready),
        ]

        # Values for STATUS.
        m.d.sync += [
            worked_off.eq(worked_off + (bank.worked_off | monte_carlo.worked_off)),
            made.eq(made + complete),
        ]
        with m.If(reset):
            m.d.sync += [worked_off.eq(0), made.eq(0), self.saturations.eq(0)]
        m.d.comb += [
            self.done.eq(worked_off),
            self.made.eq(made),
            self.crc.eq(Mux(of_selftest, signature.crc, 0)),
            self.finished.eq(
                (of_selftest & ~left & bank.idle) | (of_mc & ~clearing & monte_carlo.finished)
            ),
        ]
        return m
