"""The message bus: `protocol` defines it and its guarantees, `nats` implements it over NATS.

`specs` describes what must exist on the server. `tests/memory_bus` is an implementation within one
process that passes the same contract tests.
"""

from cwt_runtime.bus.protocol import *  # noqa: F403 - what `protocol` lists in `__all__`
from cwt_runtime.bus.specs import *  # noqa: F403 - what `specs` lists in `__all__`
