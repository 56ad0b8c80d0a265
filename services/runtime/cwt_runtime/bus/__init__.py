"""The bus as services see it: `protocol` says what it guarantees, `nats` implements it over NATS.

The tests implement it inside one process as well (`tests/memory_bus`), under the same contract.
"""

from cwt_runtime.bus.protocol import *  # noqa: F403 - what `protocol` lists in `__all__`
