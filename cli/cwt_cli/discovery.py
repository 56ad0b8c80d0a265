"""Count the running instances of each service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import anyio
import orjson

from cwt_cli.faults import CommandError
from cwt_runtime.bus import Bus
from cwt_runtime.rpc.micro import ping_subject

__all__ = ["count_services", "wait_for_services"]

#: Time to wait for replies; services on one machine answer within milliseconds.
ROUND_S = 0.3


async def count_services(
    bus: Bus, expected: Mapping[str, int], *, round_s: float = ROUND_S
) -> Counter[str]:
    """Count the instances of each service that answer; return early if all expected ones do."""
    inbox = bus.new_inbox()
    names: dict[str, str] = {}
    async with bus.subscribe(inbox) as answers:
        await bus.publish(ping_subject(), b"", reply=inbox)
        with anyio.move_on_after(round_s):
            async for answer in answers:
                if not answer.data:
                    continue  # the server's reply if there are no responders
                document = orjson.loads(answer.data)
                names[document["id"]] = document["name"]
                if not missing(Counter(names.values()), expected):
                    break
    return Counter(names.values())


def missing(running: Mapping[str, int], expected: Mapping[str, int]) -> dict[str, int]:
    """Return the number of missing instances of each incomplete service."""
    lacking = {name: count - running.get(name, 0) for name, count in expected.items()}
    return {name: count for name, count in lacking.items() if count > 0}


async def wait_for_services(
    bus: Bus, expected: Mapping[str, int], *, timeout_s: float, round_s: float = ROUND_S
) -> None:
    """Wait until all `expected` instances answer; ping them every `round_s`.

    Raises
    ------
    CommandError
        Services are missing after `timeout_s`; the message names them.
    """
    lacking = dict(expected)
    with anyio.move_on_after(timeout_s):
        while True:
            lacking = missing(await count_services(bus, expected, round_s=round_s), expected)
            if not lacking:
                return
    names = ", ".join(f"{count} x {name}" for name, count in lacking.items())
    raise CommandError(f"services did not answer within {timeout_s:g} s: {names}")
