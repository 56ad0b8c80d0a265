"""What a design says of itself in HELLO, and the hash that names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cwt_schemas.hwlink import Feature

__all__ = ["CLOCK_HZ", "Identity", "build_hash", "source_files"]

#: The crystal of the Tang Nano 9K.
CLOCK_HZ = 27_000_000

#: Of `HelloReply`.
BUILD_HASH_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What HELLO says of a design and never changes."""

    build_hash: bytes
    features: Feature
    clock_hz: int = CLOCK_HZ
    #: A new rate may stay unconfirmed for a second.
    confirm_clocks: int = CLOCK_HZ
    #: Taps that the data path computes in a clock.
    lanes: int = 2


def source_files() -> list[Path]:
    """Return the files that a design is made of, not those that simulate or build it."""
    root = Path(__file__).parents[2]
    patterns = (
        "gateware/cwt_gateware/*.py",
        "gateware/cwt_gateware/datapath/*.py",
        "gateware/cwt_gateware/board/top.py",
        "schemas/cwt_schemas/hwlink*.py",
    )
    return sorted(path for pattern in patterns for path in root.glob(pattern))


def build_hash(tools: Mapping[str, str]) -> bytes:
    """Return the first bytes of the SHA-256 of the sources, and of tools with their versions."""
    root = Path(__file__).parents[2]
    parts = [(str(path.relative_to(root)), path.read_bytes()) for path in source_files()]
    parts += [(name, version.encode()) for name, version in sorted(tools.items())]
    digest = sha256()
    for name, content in parts:
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.digest()[:BUILD_HASH_BYTES]
