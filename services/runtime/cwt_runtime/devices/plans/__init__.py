"""Turn wavelets and scales into plans for a device: filters with integer coefficients.

The bridge, which calls the device, and the integer model, which checks its results, both compute
their plan here from the same request, so they cannot disagree.
"""

from cwt_runtime.devices.plans.bank import BankJob, OctaveRows, bank_job
from cwt_runtime.devices.plans.null import NullJob, null_job

__all__ = ["BankJob", "NullJob", "OctaveRows", "bank_job", "null_job"]
