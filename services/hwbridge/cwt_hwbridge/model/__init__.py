"""The arithmetic of ``docs/hardware-link.md`` in whole numbers, bit for bit, without a device.

`run_bank`, `run_selftest` and `run_mc` take the plans that devices take and return what a device
has to return. `FilterBank` and `McPass` do the same piece by piece. `bank_clocks_per_sample` and
`mc_clocks_per_instant` say how long the FPGA takes for it.
"""

from cwt_hwbridge.model.bank import FilterBank, run_bank
from cwt_hwbridge.model.clocks import bank_clocks_per_sample, mc_clocks_per_instant
from cwt_hwbridge.model.monte_carlo import McPass, run_mc
from cwt_hwbridge.model.selftest import SelftestSignature, run_selftest

__all__ = [
    "FilterBank",
    "McPass",
    "SelftestSignature",
    "bank_clocks_per_sample",
    "mc_clocks_per_instant",
    "run_bank",
    "run_mc",
    "run_selftest",
]
