"""Whether another process still lives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cwt_ingest.member import Member, is_gone, read_member, this_process

pytestmark = pytest.mark.skipif(not Path("/proc/self/ns/pid").is_symlink(), reason="needs /proc")

#: Says who it is, and waits for its standard input to end.
SCRIPT = (
    "import sys\n"
    "from cwt_ingest.member import this_process\n"
    "print(this_process('other').model_dump_json(), flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        yield running
        running.kill()


def member_of(process: subprocess.Popen[bytes]) -> Member:
    assert process.stdout is not None
    member = read_member(process.stdout.readline())
    assert member is not None
    return member


def test_killed_process_is_gone(process: subprocess.Popen[bytes]) -> None:
    member = member_of(process)
    assert member.pid == process.pid
    assert not is_gone(member)
    process.kill()
    process.wait()
    assert is_gone(member)


def test_a_killed_process_is_gone_before_its_parent_has_asked_for_its_end(
    process: subprocess.Popen[bytes],
) -> None:
    member = member_of(process)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    os.kill(process.pid, 0)  # still in the table of processes
    assert is_gone(member)


def test_reused_process_id_is_not_mistaken_for_process() -> None:
    me = this_process("me")
    assert me.started_ticks is not None
    assert not is_gone(me)
    assert is_gone(me.model_copy(update={"started_ticks": me.started_ticks - 1}))


@pytest.mark.parametrize("system", ["another boot pid:[4026531836]", None])
def test_nothing_is_known_of_a_process_elsewhere(system: str | None) -> None:
    me = this_process("me")
    assert not is_gone(me.model_copy(update={"system": system, "started_ticks": 0}))


def test_a_system_that_does_not_say_when_a_process_started_leaves_it_alive() -> None:
    assert not is_gone(this_process("me").model_copy(update={"started_ticks": None}))


def test_a_member_is_read_as_it_was_written() -> None:
    me = this_process("me")
    assert read_member(me.model_dump_json().encode()) == me


def test_empty_lease_has_no_owner_and_unreadable_one_has() -> None:
    assert read_member(b"") is None
    for rubbish in (b"ingest-7", b'{"instance": "x", "pid": 99999999999}'):
        somebody = read_member(rubbish)
        assert somebody is not None
        assert not is_gone(somebody)
