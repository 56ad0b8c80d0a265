"""Report of a build: resources, maximum clock and identity."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["BEGIN", "END", "Build", "replaced_section", "section"]

BEGIN = "<!-- made by make gateware: begin -->"
END = "<!-- made by make gateware: end -->"

#: Resources: nextpnr's names, and the names in the report.
RESOURCES = {
    "LUT4": "LUT4",
    "ALU": "carry cells",
    "DFF": "flip-flops",
    "BSRAM": "block RAMs of 18 kbit",
    "MULT18X18": "multipliers 18×18",
}


@dataclass(frozen=True, kw_only=True)
class Build:
    """One bitstream.

    Attributes
    ----------
    used, available : mapping of str to int
        Counts of resources, by nextpnr's name.
    fmax_mhz : float
        Maximum clock of the slowest path in the timing model.
    """

    build_hash: str
    bitstream_sha256: str
    tools: Mapping[str, str]
    used: Mapping[str, int]
    available: Mapping[str, int]
    fmax_mhz: float
    clock_mhz: float

    @classmethod
    def from_report(
        cls,
        report: bytes,
        *,
        build_hash: str,
        bitstream_sha256: str,
        tools: Mapping[str, str],
    ) -> Build:
        """Parse nextpnr's report."""
        found = json.loads(report)
        (clock,) = found["fmax"].values()
        return cls(
            build_hash=build_hash,
            bitstream_sha256=bitstream_sha256,
            tools=tools,
            used={name: found["utilization"][name]["used"] for name in RESOURCES},
            available={name: found["utilization"][name]["available"] for name in RESOURCES},
            fmax_mhz=clock["achieved"],
            clock_mhz=clock["constraint"],
        )

    @property
    def faults(self) -> tuple[str, ...]:
        """Reasons why the bitstream cannot run on the board."""
        found = [
            f"{self.used[name]} {name} of {self.available[name]}"
            for name in RESOURCES
            if self.used[name] > self.available[name]
        ]
        if self.fmax_mhz < self.clock_mhz:
            found.append(f"{self.fmax_mhz:.1f} MHz, and the crystal has {self.clock_mhz:g}")
        return tuple(found)


def section(build: Build) -> str:
    """Return the generated part of the page, including its markers."""
    rows = [
        f"| {label} | {build.used[name]} | {build.available[name]} "
        f"| {100 * build.used[name] / build.available[name]:.0f} % |"
        for name, label in RESOURCES.items()
    ]
    tools = ", ".join(f"{name} {version}" for name, version in build.tools.items())
    speed = (
        f"Slowest path in the timing model: {build.fmax_mhz:.1f} MHz; clock of the crystal: "
        f"{build.clock_mhz:g} MHz. The model leaves out multipliers."
    )
    return "\n".join(
        [
            BEGIN,
            "| | used | available | |",
            "|---|---|---|---|",
            *rows,
            "",
            speed,
            "",
            f"`build_hash` {build.build_hash}, bitstream SHA-256 `{build.bitstream_sha256}`.",
            "",
            f"Made with {tools}.",
            END,
        ]
    )


def replaced_section(page: str, new: str) -> str:
    """Return `page` with its generated part replaced.

    Raises
    ------
    ValueError
        The page lacks the markers.
    """
    if BEGIN not in page or END not in page:
        raise ValueError(f"the page has no part between {BEGIN!r} and {END!r}")
    return page[: page.index(BEGIN)] + new + page[page.index(END) + len(END) :]
