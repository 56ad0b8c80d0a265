"""Damage of a bad cable to bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random


@dataclass
class Trouble:
    """Each byte is changed, lost or doubled with its probability; now and then a piece is cut."""

    rate: float
    random: Random = field(default_factory=lambda: Random(1))

    def through(self, data: bytes) -> bytes:
        """Return the bytes of `data` that arrive."""
        if not self.rate:
            return data
        out = bytearray()
        for byte in data:
            luck = self.random.random() / self.rate
            if luck >= 1:
                out.append(byte)
            elif luck < 0.3:
                out.append(byte ^ (1 << self.random.randrange(8)))
            elif luck < 0.6:
                out += bytes([byte, byte])
            elif luck < 0.65:
                break  # the rest of this piece is cut off
        return bytes(out)
