"""Random faults of processes, network and disk: nothing is lost, nothing counts twice.

``FAULTS`` is the number of faults, 1,000 with ``make faults``; ``pytest -s`` prints the figures.
``FAULT_SEED`` of the report's header draws the same ones again.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.seed import SEED, chance
from tests.system.campaign import Campaign
from tests.system.disk import why_no_disk
from tests.system.laboratory import Laboratory, laboratory

pytestmark = [pytest.mark.anyio, pytest.mark.system, pytest.mark.slow]

FAULTS = int(os.environ.get("FAULTS", "12"))
#: Fewer, because the servers take seconds to elect leaders.
CLUSTER_FAULTS = max(FAULTS // 5, 4)
#: A window may meet more faults here than elsewhere in years.
TRIES = "100"


async def survives(lab: Laboratory, name: str, faults: int) -> None:
    """Let faults happen, check everything, and print the figures in any case."""
    campaign, start = Campaign(lab, chance(name)), time.monotonic()
    try:
        await campaign.run(faults)
    finally:
        took_s = time.monotonic() - start
        lacking = "" if lab.disks else f"; {why_no_disk() or 'no faults of disks'}"
        print(  # noqa: T201 - the figures are what the run is for
            f"\n{name}: FAULT_SEED={SEED}, {took_s:.0f} s: {campaign.tally}{lacking}"
        )


async def test_with_one_server_nothing_is_lost_or_counted_twice(tmp_path: Path) -> None:
    async with laboratory(
        tmp_path,
        ingests=2,
        workers=2,
        network=True,
        on_disk=not why_no_disk(),
        settings="sync_interval: always",
        CWT_COMPUTE_MAX_TRIES=TRIES,
    ) as lab:
        await survives(lab, "one server", FAULTS)


async def test_with_three_servers_nothing_is_lost_or_counted_twice(tmp_path: Path) -> None:
    async with laboratory(
        tmp_path,
        ingests=2,
        workers=2,
        nodes=3,
        network=True,
        CWT_COMPUTE_MAX_TRIES=TRIES,
        CWT_REPLICAS="3",
    ) as lab:
        await survives(lab, "three servers", CLUSTER_FAULTS)
