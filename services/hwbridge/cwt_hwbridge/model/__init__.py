"""Integer model of the arithmetic in ``docs/hardware-link.md``, bit for bit.

`run_bank`, `run_selftest` and `run_mc` take the plans that devices take and return the results that
devices must return. `FilterBank` and `McPass` compute them piece by piece. `bank_clocks_per_sample`
and `mc_clocks_per_instant` return the time that the FPGA needs.
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
