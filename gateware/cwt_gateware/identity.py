"""The identity of a design in HELLO, and its hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cwt_gateware
import cwt_schemas
from cwt_schemas.hwlink import Feature

__all__ = ["CLOCK_HZ", "Identity", "build_hash", "source_files"]

#: The crystal of the Tang Nano 9K.
CLOCK_HZ = 27_000_000

#: Bytes of the hash in `HelloReply`.
BUILD_HASH_BYTES = 8

#: Folders in a checkout, their packages, and the patterns of the design's source files.
_SOURCES = (
    ("gateware/cwt_gateware", cwt_gateware, ("*.py", "datapath/*.py", "board/top.py")),
    ("schemas/cwt_schemas", cwt_schemas, ("hwlink*.py",)),
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The constant properties of a design in HELLO."""

    build_hash: bytes
    features: Feature
    clock_hz: int = CLOCK_HZ
    #: Clocks for which a new rate may stay unconfirmed: one second.
    confirm_clocks: int = CLOCK_HZ
    #: Taps per clock of the data path.
    lanes: int = 2


def source_files() -> dict[str, Path]:
    """Return the source files of the design, without those that simulate or build it.

    The keys are their names in a checkout, wherever the packages are installed.

    Raises
    ------
    FileNotFoundError
        The packages are installed without their sources.
    """
    files = {}
    for name, package, patterns in _SOURCES:
        folder = Path(package.__file__ or "").parent
        for pattern in patterns:
            matches = list(folder.glob(pattern))
            if not matches:
                raise FileNotFoundError(
                    f"cannot identify the design: no {pattern} in {folder}; "
                    f"install pycwt-mod with its sources"
                )
            files.update(
                {f"{name}/{path.relative_to(folder).as_posix()}": path for path in matches}
            )
    return dict(sorted(files.items()))


def build_hash(tools: Mapping[str, str]) -> bytes:
    """Return the first bytes of the SHA-256 of the sources, and of tools with their versions."""
    parts = [(name, path.read_bytes()) for name, path in source_files().items()]
    parts += [(name, version.encode()) for name, version in sorted(tools.items())]
    digest = sha256()
    for name, content in parts:
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.digest()[:BUILD_HASH_BYTES]
