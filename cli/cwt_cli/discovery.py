"""Which services answer, counted by instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import anyio
import orjson

from cwt_cli.faults import CommandError
from cwt_runtime.bus import Bus
from cwt_runtime.rpc.micro import ping_subject

__all__ = ["count_services", "wait_for_services"]

#: Services on one machine answer within milliseconds.
ROUND_S = 0.3


async def count_services(
    bus: Bus, expected: Mapping[str, int], *, round_s: float = ROUND_S
) -> Counter[str]:
    """Return how many instances of each service answer; done once all expected ones have."""
    inbox = bus.new_inbox()
    found: dict[str, str] = {}
    async with bus.subscribe(inbox) as answers:
        await bus.publish(ping_subject(), b"", reply=inbox)
        with anyio.move_on_after(round_s):
            async for answer in answers:
                if not answer.data:
                    continue  # the server's own word that nobody listens
                document = orjson.loads(answer.data)
                found[document["id"]] = document["name"]
                if not missing(Counter(found.values()), expected):
                    break
    return Counter(found.values())


def missing(found: Mapping[str, int], expected: Mapping[str, int]) -> dict[str, int]:
    """Return how many instances of which service are still to come."""
    lacking = {name: count - found.get(name, 0) for name, count in expected.items()}
    return {name: count for name, count in lacking.items() if count > 0}


async def wait_for_services(
    bus: Bus, expected: Mapping[str, int], *, timeout_s: float, round_s: float = ROUND_S
) -> None:
    """Return when all `expected` instances answer; asks again every `round_s`.

    Raises
    ------
    CommandError
        They do not within `timeout_s`; the message names those that are missing.
    """
    lacking = dict(expected)
    with anyio.move_on_after(timeout_s):
        while True:
            lacking = missing(await count_services(bus, expected, round_s=round_s), expected)
            if not lacking:
                return
    names = ", ".join(f"{count} x {name}" for name, count in lacking.items())
    raise CommandError(f"services did not answer within {timeout_s:g} s: {names}")
