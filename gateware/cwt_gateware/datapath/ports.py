"""The ports of the data path: layouts and the signature.

Ranges are those in `docs/hardware-link.md`; they are not checked here.
"""

from __future__ import annotations

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from cwt_schemas.hwlink import (
    COEFFICIENTS,
    FILTERS,
    HISTOGRAM_BINS,
    MC_MAX_BINNED_ROWS,
    OUTPUT_ROOM,
    SAMPLE_ROOM,
)

__all__ = [
    "BankSettings",
    "Complex",
    "DatapathSignature",
    "FilterRow",
    "McSettings",
    "SelftestSettings",
]

#: A coefficient, or an output of the bank: `re` in the lower half, as on the line.
Complex = data.StructLayout({"re": signed(16), "im": signed(16)})

#: An entry of the filter table.
FilterRow = data.StructLayout(
    {
        "start": unsigned(11),
        "length": unsigned(9),
        "shift": unsigned(5),
        "step": unsigned(2),
    }
)

#: Settings of FIR_START, and of the bank in SELFTEST.
BankSettings = data.StructLayout(
    {
        "octaves": unsigned(5),
        "rows": unsigned(7),
        "decimator": unsigned(7),
    }
)

#: Settings of SELFTEST in addition to its bank.
SelftestSettings = data.StructLayout({"seed": unsigned(32), "samples": unsigned(32)})

#: Settings of MC_START. `seed` holds x in its lowest 32 bits, then y, z, w.
McSettings = data.StructLayout(
    {
        "seed": unsigned(128),
        "warmup": unsigned(32),
        "instants": unsigned(32),
        "a1": signed(16),
        "a2": signed(16),
        "noise_shift": unsigned(4),
        "decimations": unsigned(4),
        "step": unsigned(2),
        "rows": unsigned(5),
        "first": unsigned(5),
        "count": unsigned(4),
        "product_shift": unsigned(5),
        "decimator": unsigned(7),
        "boxcar": unsigned(7),
    }
)


class DatapathSignature(wiring.Signature):
    """The ports of `Datapath`, seen from the link.

    Members
    -------
    coefficient_write, filter_write
        Write `data` to `address` in every clock in which `enable` is high. Only while no job
        runs.
    start_fir, start_selftest, start_mc
        High for one clock, only while no job runs. `bank` (the first two), `selftest` and `mc` are
        read only in that clock. A start clears counters, histories, and queued samples and outputs
        before computing; a Monte Carlo start clears the histograms too.
    abort
        High for one clock, at any time: stops the job and clears the queues, not the histograms.
    samples
        Input of the bank. Ready while `sample_room` is not 0; used only after start_fir.
    outputs
        Outputs of the bank, in order.
    sample_room, outputs_ready
        Free places for samples; number of queued outputs.
    finished
        High from the end of a self-test or a Monte Carlo pass until the next start or abort;
        `done`, `crc` and the histograms are final then.
    done, made, saturations, crc
        `done`, `outputs`, `saturations`, `signature` of STATUS for the current or last job.
    histogram_address, histogram_count
        A stream of addresses (row * 256 + bin), answered in order by a stream of counts, one at a
        time. Can also be used during a pass.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "coefficient_write": Out(write_port(COEFFICIENTS, Complex)),
                "filter_write": Out(write_port(FILTERS, FilterRow)),
                "bank": Out(BankSettings),
                "selftest": Out(SelftestSettings),
                "mc": Out(McSettings),
                "start_fir": Out(1),
                "start_selftest": Out(1),
                "start_mc": Out(1),
                "abort": Out(1),
                "samples": Out(stream.Signature(signed(16))),
                "outputs": In(stream.Signature(Complex)),
                "sample_room": In(range(SAMPLE_ROOM + 1)),
                "outputs_ready": In(range(OUTPUT_ROOM + 1)),
                "finished": In(1),
                "done": In(32),
                "made": In(32),
                "saturations": In(16),
                "crc": In(32),
                "histogram_address": Out(
                    stream.Signature(range(MC_MAX_BINNED_ROWS * HISTOGRAM_BINS))
                ),
                "histogram_count": In(stream.Signature(unsigned(32))),
            }
        )


def write_port(depth: int, shape: data.StructLayout) -> wiring.Signature:
    """Return the signature of a write port of a memory: `address`, `data`, `enable`."""
    return wiring.Signature({"address": Out(range(depth)), "data": Out(shape), "enable": Out(1)})
