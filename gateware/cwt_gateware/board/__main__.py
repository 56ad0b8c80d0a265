"""``python -m cwt_gateware.board``: build the bitstream; fail if the design does not fit."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from cwt_gateware.board.report import Build, replaced_section, section
from cwt_gateware.board.tools import (
    BITSTREAM,
    REPORT,
    ToolError,
    board_identity,
    build,
    tool_versions,
)

PAGE = Path(__file__).parents[3] / "docs" / "gateware.md"


def built(folder: Path) -> tuple[Path, float]:
    """Build the design unless it is built already; return the folder and the build time, s."""
    identity = board_identity()
    target = folder / f"board-{identity.build_hash.hex()}"
    if (target / BITSTREAM).exists():
        return target, 0.0
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    scratch = Path(tempfile.mkdtemp(dir=folder, prefix="board-"))
    build(identity, scratch)
    shutil.rmtree(target, ignore_errors=True)
    scratch.rename(target)
    return target, time.monotonic() - started


def digest(folder: Path) -> str:
    """Return the SHA-256 of a build's bitstream."""
    return sha256((folder / BITSTREAM).read_bytes()).hexdigest()


def main() -> int:
    """Build, compare, report."""
    parser = argparse.ArgumentParser(prog="python -m cwt_gateware.board", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("var/gateware"), help="of builds")
    parser.add_argument(
        "--again", action="store_true", help="build a second time and compare the bitstreams"
    )
    options = parser.parse_args()
    try:
        folder, seconds = built(options.folder)
        if options.again:
            with tempfile.TemporaryDirectory() as second:
                build(board_identity(), Path(second))
                if digest(Path(second)) != digest(folder):
                    print(f"the bitstream in {folder} cannot be made again", file=sys.stderr)
                    return 1
                print("made twice, the same bitstream")
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    result = Build.from_report(
        (folder / REPORT).read_bytes(),
        build_hash=board_identity().build_hash.hex(),
        bitstream_sha256=digest(folder),
        tools=tool_versions(),
    )
    text = section(result)
    PAGE.write_text(replaced_section(PAGE.read_text(), text))
    print(text)
    print(f"{folder / BITSTREAM}, {'kept from before' if not seconds else f'{seconds:.0f} s'}")
    for fault in result.faults:
        print(f"does not fit: {fault}", file=sys.stderr)
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
