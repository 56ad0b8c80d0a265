"""Waits that end when the process is asked to stop, and freed memory that stays with it."""

from __future__ import annotations

import resource
import subprocess
import sys

import anyio
import pytest

from cwt_runtime.process.lifecycle import Stop, keep_freed_memory
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

FRESH_PAGES = """
import resource
from cwt_runtime.process.lifecycle import keep_freed_memory
import sys
assert sys.argv[1] == "as-is" or keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    blocks = [bytearray(24 * 2**20) for _ in range(3)]
work()
before = faults()
for _ in range(3):
    work()
print(faults() - before)
"""


async def test_a_wait_that_is_over_returns_its_value() -> None:
    async def seven() -> int:
        return 7

    assert await Stop().run_until_stopped(seven) == 7


async def test_stopping_ends_a_wait_under_way() -> None:
    stop, waiting = Stop(), anyio.Event()

    async def forever() -> int:
        waiting.set()
        await anyio.sleep_forever()
        return 1

    with fail_after(5):
        async with anyio.create_task_group() as tasks:

            async def client() -> None:
                assert await stop.run_until_stopped(forever) is None

            tasks.start_soon(client)
            await waiting.wait()
            stop.set()


async def test_after_stopping_nothing_is_begun() -> None:
    stop = Stop()
    stop.set()

    async def never() -> int:
        raise AssertionError

    assert await stop.run_until_stopped(never) is None


def fresh_pages(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FRESH_PAGES, how], capture_output=True, check=True, text=True
    )
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a matter of glibc")
def test_memory_that_was_used_once_is_not_asked_for_again() -> None:
    pages = 3 * 3 * 24 * 2**20 // resource.getpagesize()
    assert fresh_pages("as-is") > pages // 2
    assert fresh_pages("kept") < pages // 20


def test_it_says_whether_the_c_library_can() -> None:
    assert keep_freed_memory() in {True, False}
