"""What goes into the data path and what comes out: layouts and the signature.

Ranges are those of `docs/hardware-link.md` and are not checked here.
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

#: Of FIR_START, and of the bank in SELFTEST.
BankSettings = data.StructLayout(
    {
        "octaves": unsigned(5),
        "rows": unsigned(7),
        "decimator": unsigned(7),
    }
)

#: Of SELFTEST beside its bank.
SelftestSettings = data.StructLayout({"seed": unsigned(32), "samples": unsigned(32)})

#: Of MC_START. `seed` holds x in its lowest 32 bits, then y, z, w.
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
        `address` and `data` are taken in every clock in which `enable` is high. Only while nothing
        runs.
    start_fir, start_selftest, start_mc
        For one clock, only while nothing runs. `bank` (the first two), `selftest` and `mc` are read
        in that clock alone. Clears counters, histories, waiting samples and outputs, before
        anything is computed; a Monte Carlo start clears the histograms too.
    abort
        For one clock, at any time: ends what runs and forgets what waits. Histograms stay.
    samples
        Into the bank. Ready as long as `sample_room` is not 0; taken only after start_fir.
    outputs
        From the bank, in their order.
    sample_room, outputs_ready
        How many fit, how many wait.
    finished
        High from the end of a self-test or a Monte Carlo pass until the next start or abort;
        `done`, `crc` and the histograms are final by then.
    done, made, saturations, crc
        `done`, `outputs`, `saturations`, `signature` of STATUS for the job that runs or ran.
    histogram_address, histogram_count
        A stream of places (row * 256 + bin), answered in order by a stream of counts, one at a
        time. Also while a pass runs.
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
    """Return the signature of a memory that is written: `address`, `data`, `enable`."""
    return wiring.Signature({"address": Out(range(depth)), "data": Out(shape), "enable": Out(1)})
