"""The arithmetic of ``docs/hardware-link.md`` in whole numbers, bit for bit, without a device.

`run_bank`, `run_selftest` and `run_mc` take the plans that devices take and return what a device
has to return. `FilterBank` and `McPass` do the same piece by piece.
"""

from services.hwbridge.model.bank import FilterBank, run_bank
from services.hwbridge.model.monte_carlo import McPass, run_mc
from services.hwbridge.model.selftest import SelftestSignature, run_selftest

__all__ = ["FilterBank", "McPass", "SelftestSignature", "run_bank", "run_mc", "run_selftest"]
