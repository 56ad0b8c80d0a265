"""Freed memory that stays."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from services.runtime.process.allocator import keep_freed_memory

FRESH_PAGES = """
import resource
from services.runtime.process.allocator import keep_freed_memory
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


def fresh_pages(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FRESH_PAGES, how], capture_output=True, check=True, text=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a matter of glibc")
def test_memory_that_was_used_once_is_not_asked_for_again() -> None:
    pages = 3 * 3 * 24 * 2**20 // resource.getpagesize()
    assert fresh_pages("as-is") > pages // 2
    assert fresh_pages("kept") < pages // 20


def test_it_says_whether_the_c_library_can() -> None:
    assert keep_freed_memory() in {True, False}
