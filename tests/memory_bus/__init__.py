"""A bus inside one process, under the same contract tests as the real one.

It lets the services run in a notebook or a unit test without a server. Nothing is kept on disk.
"""

from tests.memory_bus.bus import MemoryBus

__all__ = ["MemoryBus"]
