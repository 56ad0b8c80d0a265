"""Every user against every subject: what a server lets through is what docs/permissions.md says.

The table of the page is read as text. What is possible is found out from outside, by a connection
of each user that tries everything, so neither side knows how the configuration is made.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from cwt_schemas import storage, subjects
from tests.accounts import AccountsServer, accounts_server

pytestmark = [pytest.mark.anyio, pytest.mark.system]

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
USERS = (
    "ingest", "compute", "hwbridge", "gateway", "doctor", "operator", "icu", "reader", "analyst",
)  # fmt: skip
#: A message that no request of JetStream takes for one, so that nothing is deleted on the way.
BODY = b"?"
OTHER = "other"

BUCKETS = (
    storage.KV_STREAMS, storage.KV_CHECKPOINTS, storage.KV_JOBS, storage.KV_SIGNIFICANCE,
    storage.KV_KEYS,
)  # fmt: skip
STORES = (storage.OBJECTS, storage.REPLIES, storage.ANSWERS)
STREAMS = (
    storage.SIGNALS, storage.WINDOWS, storage.RESULTS, storage.TASKS, storage.JOB_RESULTS,
    storage.DEAD, storage.AUDIT, *(f"KV_{name}" for name in BUCKETS),
    *(f"OBJ_{name}" for name in STORES), "SOMETHING_ELSE",
)  # fmt: skip
#: Of the JetStream interface, each with what follows the name of a stream.
OF_A_STREAM = (
    "STREAM.INFO.{}", "STREAM.CREATE.{}", "STREAM.UPDATE.{}", "STREAM.DELETE.{}",
    "STREAM.PURGE.{}", "STREAM.MSG.GET.{}", "STREAM.MSG.DELETE.{}", "STREAM.SNAPSHOT.{}",
    "STREAM.RESTORE.{}", "STREAM.PEER.REMOVE.{}", "STREAM.LEADER.STEPDOWN.{}",
    "CONSUMER.NAMES.{}", "CONSUMER.LIST.{}", "CONSUMER.CREATE.{}", "DIRECT.GET.{}",
    "DIRECT.GET.{}.cwt.result.icu.a",
)  # fmt: skip
OF_A_CONSUMER = (
    "CONSUMER.INFO.{}.{}", "CONSUMER.CREATE.{}.{}", "CONSUMER.CREATE.{}.{}.>",
    "CONSUMER.CREATE.{}.{}.cwt.result.icu.*", "CONSUMER.CREATE.{}.{}.cwt.result.other.a",
    "CONSUMER.CREATE.{}.{}.cwt.event.icu", "CONSUMER.CREATE.{}.{}.cwt.jobresult.j.>",
    "CONSUMER.CREATE.{}.{}.$O.cwt_replies.C.x", "CONSUMER.CREATE.{}.{}.$O.cwt_objects.C.x",
    "CONSUMER.DURABLE.CREATE.{}.{}", "CONSUMER.DELETE.{}.{}", "CONSUMER.PAUSE.{}.{}",
    "CONSUMER.RESET.{}.{}", "CONSUMER.UNPIN.{}.{}", "CONSUMER.MSG.NEXT.{}.{}",
    "CONSUMER.LEADER.STEPDOWN.{}.{}",
)  # fmt: skip
CONSUMERS = (storage.COMPUTE_WINDOWS, "0123456789abcdef")
APIS = ("$JS.API", "$JS.copies.API", "$JS.cwt.API")


def product_subjects() -> list[str]:
    """Return a subject of each kind that `cwt_schemas.subjects` builds, for two streams."""
    names = ("icu", OTHER)
    return [
        *map(subjects.signal, names),
        *map(subjects.stream, get_args(subjects.StreamVerb)),
        *(subjects.window(name, "a") for name in names),
        *(subjects.result(name, "a") for name in names),
        *(subjects.newest(name, "a") for name in names),
        *(subjects.now(name, "a") for name in names),
        *map(subjects.event, names),
        *map(subjects.marker, names),
        *map(subjects.mark, names),
        subjects.HW_EVENTS,
        *map(subjects.query, get_args(subjects.QueryOp)),
        *map(subjects.job, get_args(subjects.JobVerb)),
        subjects.task("j"),
        subjects.job_result("j", "0"),
        subjects.progress("j"),
        subjects.dead("compute"),
        subjects.dead("ingest"),
        subjects.audit("stream", "icu"),
        subjects.audit("job", "j"),
        subjects.audit("key", "k"),
        *(subjects.hw("elm11", verb) for verb in get_args(subjects.HwVerb)),
        subjects.HW_LIST,
    ]


def jetstream_subjects() -> list[str]:
    """Return a subject of each kind of JetStream's, for every stream and bucket."""
    requests = [
        "INFO", "STREAM.NAMES", "STREAM.LIST", "STREAM.TEMPLATE.CREATE.t", "META.LEADER.STEPDOWN",
        "SERVER.REMOVE", "ACCOUNT.PURGE.CWT",
        *(verb.format(stream) for verb, stream in product(OF_A_STREAM, STREAMS)),
        *(verb.format(*of) for verb, *of in product(OF_A_CONSUMER, STREAMS, CONSUMERS)),
    ]  # fmt: skip
    return [
        *(f"{api}.{request}" for api, request in product(APIS, requests)),
        *(f"$JS.ACK.{stream}.{name}.1.1.1.1.0" for stream, name in product(STREAMS, CONSUMERS)),
        "$JS.FC.CWT_RESULTS.c.1",
        *(f"$KV.{bucket}.key" for bucket in BUCKETS),
        *(f"$O.{store}.{part}.x" for store, part in product(STORES, "CM")),
    ]


def foreign_subjects() -> list[str]:
    """Return subjects that are not the product's, and inboxes."""
    return [
        "$SRV.PING", "$SRV.INFO.compute", "$SRV.STATS.ingest.x", "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.ACCOUNT.CWT.CONNZ", "$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.ACCOUNT.PING.STATZ",
        "$JS.EVENT.ADVISORY.x", "cwt.copy.CWT_RESULTS.x",
        "cwt.unknown", "cwt", "foo", "_R_.x.y", "_INBOX.x",
        *(f"_INBOX.{user}.x.1" for user in USERS),
    ]  # fmt: skip


@cache
def everything() -> list[str]:
    found = [*product_subjects(), *jetstream_subjects(), *foreign_subjects()]
    assert len(found) == len(set(found))
    return found


def documented() -> dict[tuple[str, str], list[str]]:
    """Return the patterns of the page by user and verb."""
    table: dict[tuple[str, str], list[str]] = {}
    for line in PAGE.read_text().splitlines():
        row = re.fullmatch(r"\| `(\w+)` \| (publish|subscribe) \| (.*) \|", line)
        if row is not None:
            table[row[1], row[2]] = re.findall(r"`(.*?)`", row[3])
    return table


def expression(pattern: str) -> str:
    """Return the regular expression of what matches a pattern, as NATS has it."""
    tokens = {">": ".+", "*": "[^.]+"}
    return "[.]".join(tokens.get(each, re.escape(each)) for each in pattern.split("."))


def expected(user: str, verb: str) -> set[str]:
    any_of = re.compile("|".join(map(expression, documented()[user, verb])))
    return {each for each in everything() if any_of.fullmatch(each)}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[AccountsServer]:
    """A server with the users of `deploy/nats/accounts.conf`."""
    async with accounts_server(tmp_path) as running:
        yield running


async def test_what_each_user_may_publish_is_what_the_page_says(server: AccountsServer) -> None:
    for user in USERS:
        async with server.intruder(user) as intruder:
            for subject in everything():
                intruder.publish(subject, BODY)
            assert set(everything()) - await intruder.refused() == expected(user, "publish"), user


async def test_what_each_user_may_subscribe_to_is_what_the_page_says(
    server: AccountsServer,
) -> None:
    wild = ["_INBOX.>", "_R_.>", "cwt.>", ">", "*", "*.>", "$SRV.>", "$JS.>", "$KV.>"]
    for user in USERS:
        async with server.intruder(user) as intruder:
            for subject in (*everything(), *wild):
                intruder.subscribe(subject)
            allowed = {*everything(), *wild} - await intruder.refused()
            patterns = documented()[user, "subscribe"]
            beyond = {each for each in wild if {each, ">"} & set(patterns)}
            assert allowed == expected(user, "subscribe") | beyond, user


@pytest.mark.parametrize("user", ["icu", "reader", "analyst"])
async def test_what_reaches_the_services_from_other_accounts_is_what_the_page_says(
    server: AccountsServer, user: str
) -> None:
    async with server.intruder("operator") as inside, server.intruder(user) as outside:
        inside.subscribe(">")
        await inside.refused()
        for subject in everything():
            outside.publish(subject, BODY)
        await outside.refused()
        await inside.refused()
        arrived = {each for each in inside.heard if each.startswith(("cwt.", "$KV.", "$O."))}
        asked = {
            each.replace("cwt.marker.", "cwt.mark.")  # ingest stores the markers of devices
            for each in expected(user, "publish")
            if each.startswith("cwt.")
        }
        assert arrived == asked


@pytest.mark.parametrize("user", ["icu", "reader", "analyst"])
async def test_what_other_accounts_hear_of_the_services_is_what_the_page_says(
    server: AccountsServer, user: str
) -> None:
    async with server.intruder("operator") as inside, server.intruder(user) as outside:
        for subject in documented()[user, "subscribe"]:
            outside.subscribe(subject)
        await outside.refused()
        for subject in everything():
            inside.publish(subject, BODY)
        await inside.refused()
        await outside.refused()
        shared = {each for each in expected(user, "subscribe") if each.startswith("cwt.")}
        assert set(outside.heard) == shared
