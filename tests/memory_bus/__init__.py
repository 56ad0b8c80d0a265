"""A bus inside one process, under the same contract tests as the real one.

Unit tests run the services on it without a server. Nothing is kept on disk.
"""

from tests.memory_bus.bus import MemoryBus

__all__ = ["MemoryBus"]
