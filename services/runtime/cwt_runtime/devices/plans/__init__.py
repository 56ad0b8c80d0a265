"""From wavelets and scales to what a device computes with: filters in whole numbers.

The bridge, which asks a device, and whoever checks its answer on the integer model, both make
their plan here from the same request, so that they cannot disagree.
"""

from cwt_runtime.devices.plans.bank import BankJob, OctaveRows, bank_job
from cwt_runtime.devices.plans.null import NullJob, null_job

__all__ = ["BankJob", "NullJob", "OctaveRows", "bank_job", "null_job"]
