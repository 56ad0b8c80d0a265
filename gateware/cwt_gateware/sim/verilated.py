"""The design compiled by Verilator, in this process."""

from __future__ import annotations

import ctypes
from importlib import resources
from pathlib import Path
from typing import Any

from amaranth.hdl import Value

from cwt_gateware.sim.design import Level, simulated_device, simulated_identity
from cwt_gateware.sim.engine import Progress
from cwt_gateware.sim.shared_library import Design, Source, shared_library, verilator_version

__all__ = ["Verilated", "compiled"]


def compiled(level: Level, folder: Path) -> Path:
    """Return the library with this design, compiled if `folder` does not have it yet.

    Raises
    ------
    EngineError
        A tool is missing or fails.
    """
    identity = simulated_identity(level, simulator="verilator", version=verilator_version())
    glue = resources.files("cwt_gateware.sim").joinpath("verilated.cpp").read_text()
    source = Source(
        name=level,
        design=lambda: _design(simulated_device(level, identity)),
        glue="#define SERIAL\n" + glue if level == "serial" else glue,
    )
    return shared_library(source, folder)


def _design(device: Any) -> Design:
    # Rename the ports, because Verilator changes Amaranth's names with two underscores.
    ports = {
        "_".join(map(str, path)): Value.cast(value)
        for path, _member, value in device.signature.flatten(device)
    }
    return Design(device, ports)


class Verilated:
    """Implement `Engine` with a compiled design."""

    def __init__(self, library: Path, entropy: int) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.device_new.restype = ctypes.c_void_p
        self._handle: ctypes.c_void_p | None = ctypes.c_void_p(
            self._library.device_new(ctypes.c_uint32(entropy))
        )

    def run(self, received: bytes, clocks: int) -> Progress:
        """See `Engine`."""
        sent = ctypes.create_string_buffer(clocks)
        made = ctypes.c_uint32()
        working = ctypes.c_uint32()
        passed = ctypes.c_uint32()
        taken = self._library.device_run(
            self._handle, received, len(received), clocks,
            sent, ctypes.byref(made), ctypes.byref(working), ctypes.byref(passed),
        )  # fmt: skip
        return Progress(taken, sent.raw[: made.value], bool(working.value), passed.value)

    def set_host_divisor(self, divisor: int) -> None:
        """See `Engine`."""
        self._library.device_host_divisor(self._handle, divisor)

    def close(self) -> None:
        """See `Engine`."""
        if self._handle is not None:
            self._library.device_free(self._handle)
            self._handle = None
