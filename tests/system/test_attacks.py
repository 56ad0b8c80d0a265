"""What users of other accounts must not achieve with the permissions they have, from their side.

Each attack worked where all users shared one account and a deny list.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.lowlevel
import nats.errors
import numpy as np
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NoStreamResponseError

from cwt_runtime.accounts.users import analyst, device, reader
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from pycwt_client.publisher import open_publisher
from pycwt_client.sending import Sending
from tests.accounts import AccountsServer, accounts_server
from tests.deadlines import fail_after
from tests.servers import processed

pytestmark = [pytest.mark.anyio, pytest.mark.system]

USERS = (
    device("icu", ("icu",)), device("other", ("other",)), reader("reader"),
    reader("ward", ("icu",)), analyst("analyst"),
)  # fmt: skip
COPIES = "$JS.copies.API"


@asynccontextmanager
async def attacked(folder: Path) -> AsyncIterator[tuple[AccountsServer, JetStreamContext]]:
    """Run a server with something in its streams, and the operator's JetStream."""
    async with accounts_server(folder, USERS) as server, server.client("operator") as operator:
        js = operator.jetstream()
        for number in range(3):
            await js.publish(subjects.signal("icu"), b"chunk %d" % number)
            await js.publish(subjects.result("icu", "a"), b"{}")
            await js.publish(subjects.event("icu"), b"{}")
            await js.publish(subjects.job_result("j", str(number)), b"{}")
        await js.publish(f"$KV.{storage.KV_STREAMS}.icu", b"definition")
        await js.publish(f"$KV.{storage.KV_CHECKPOINTS}.member.ingest-1", b"member")
        for bucket in (storage.OBJECTS, storage.REPLIES):
            await (await js.object_store(bucket)).put("tasks", b"of everybody")
        with fail_after(20):
            copies = operator.jetstream(domain="copies")
            while await counts(copies) != await counts(js):
                await anyio.lowlevel.checkpoint()  # they follow
        yield server, js


async def counts(js: JetStreamContext) -> dict[str, int]:
    """Return how many messages the copied streams have."""
    names = (storage.RESULTS, storage.JOB_RESULTS, "OBJ_cwt_objects", "OBJ_cwt_replies")
    return {name: (await js.stream_info(name)).state.messages for name in names}


async def everything(js: JetStreamContext) -> dict[str, tuple[int, int]]:
    """Return first and last sequence of each stream: what changes where anything is changed."""
    infos = await js.streams_info()
    return {str(each.config.name): (each.state.first_seq, each.state.last_seq) for each in infos}


async def consumers(js: JetStreamContext) -> dict[str, list[dict[str, Any]]]:
    """Return the configurations of all consumers."""
    names = [str(each.config.name) for each in await js.streams_info()]
    return {
        name: [each.config.as_dict() for each in await js.consumers_info(name)] for name in names
    }


async def settled(client: Client, js: JetStreamContext) -> None:
    """Return when the server has acted on all that was published: it answers in turn."""
    await processed(client)
    for _ in range(3):  # a reply that is a request is behind those that were there before it
        await js.streams_info()


async def test_a_reply_subject_of_a_device_is_nowhere_in_the_account_of_the_services(
    tmp_path: Path,
) -> None:
    """The acknowledgement of its chunk overwrote a definition, or a membership of ingest."""
    async with attacked(tmp_path) as (server, js), server.client("icu") as icu:
        before = await everything(js)
        for reply in (
            "$KV.cwt_streams.icu", "$KV.cwt_checkpoints.member.ingest-1", "cwt.result.icu.a",
            "$JS.API.STREAM.PURGE.CWT_SIGNALS", "$JS.API.STREAM.DELETE.CWT_SIGNALS",
        ):  # fmt: skip
            await icu.publish(subjects.signal("icu"), b"chunk", reply=reply)
            await icu.publish(subjects.stream("get"), b"{}", reply=reply)
        await settled(icu, js)
        after = await everything(js)
        first, last = before.pop(storage.SIGNALS)
        assert after.pop(storage.SIGNALS) == (first, last + 5)
        assert after == before


@pytest.mark.parametrize("user", ["analyst", "reader", "ward"])
async def test_no_answer_of_the_server_reaches_a_subject_that_its_user_chose(
    tmp_path: Path, user: str
) -> None:
    """The server published stored bytes, or an empty message, with its own permissions."""
    async with attacked(tmp_path) as (server, js), server.client(user) as client:
        before, copies = await everything(js), client.jetstream(domain="copies")
        stream = storage.JOB_RESULTS if user == "analyst" else storage.RESULTS
        own = "cwt.jobresult.j.>" if user == "analyst" else "cwt.result.icu.*"
        config = {"name": "mine", "ack_policy": "none", "filter_subject": own}
        create = f"{COPIES}.CONSUMER.CREATE.{stream}.mine.{own}"
        request = json.dumps({"stream_name": stream, "config": config}).encode()
        assert b"error" not in (await client.request(create, request)).data
        for reply in (
            "$KV.cwt_streams.icu", "cwt.result.icu.a", "cwt.signal.icu",
            f"{COPIES}.STREAM.DELETE.{stream}", f"{COPIES}.STREAM.PURGE.{stream}",
            f"$JS.API.STREAM.DELETE.{stream}", "$JS.API.STREAM.DELETE.CWT_SIGNALS",
            f"$JS.cwt.API.CONSUMER.CREATE.{stream}.mine.{own}",
        ):  # fmt: skip
            for ask, body in (
                (create, request),
                (f"{COPIES}.CONSUMER.MSG.NEXT.{stream}.mine", b'{"batch": 9, "no_wait": true}'),
                (f"{COPIES}.STREAM.INFO.{stream}", b""),
                (f"{COPIES}.STREAM.MSG.GET.OBJ_cwt_replies", b'{"seq": 1}'),
                (f"$JS.API.DIRECT.GET.{stream}", b'{"seq": 1}'),
                ("cwt.query.health", b""),
            ):
                await client.publish(ask, body, reply=reply)
        await settled(client, js)
        assert await everything(js) == before
        assert (await copies.stream_info(stream)).state.messages == (
            await js.stream_info(stream)
        ).state.messages
        assert (await consumers(js))[stream] == []


@pytest.mark.parametrize("user", ["analyst", "reader", "ward"])
async def test_a_consumer_of_a_reader_delivers_nothing_to_a_service(
    tmp_path: Path, user: str
) -> None:
    """It delivers where a request is answered: to each subject with exactly one subscription."""
    async with (
        attacked(tmp_path) as (server, js),
        server.client("operator") as service,
        server.client(user) as client,
    ):
        stream = storage.JOB_RESULTS if user == "analyst" else storage.RESULTS
        own = "cwt.jobresult.j.>" if user == "analyst" else "cwt.result.icu.*"
        heard: list[str] = []

        async def hear(message: Any) -> None:
            heard.append(message.subject)

        before = await everything(js)
        for number, target in enumerate(
            ("cwt.stream.put", "cwt.job.submit", "$KV.cwt_streams.icu", "cwt.result.icu.forged",
             f"$JS.API.STREAM.DELETE.{stream}")
        ):  # fmt: skip
            if target.startswith("cwt."):
                await service.subscribe(target, cb=hear)
                await processed(service)
            config = {"name": f"push{number}", "deliver_subject": target, "ack_policy": "none",
                      "headers_only": True, "filter_subject": own}  # fmt: skip
            create = f"{COPIES}.CONSUMER.CREATE.{stream}.push{number}.{own}"
            request = json.dumps({"stream_name": stream, "config": config}).encode()
            await client.publish(create, request, reply=client.new_inbox())
        await settled(client, js)
        assert heard == []
        assert await everything(js) == before


@pytest.mark.parametrize("user", ["reader", "analyst"])
async def test_only_compute_publishes_where_the_ids_of_results_count(
    tmp_path: Path, user: str
) -> None:
    """A message under the id of the next result made the server drop the real one as a duplicate.

    It was stored as an object, and came back as an answer to a subject of its sender's choice.
    """
    id_of_next = {"Nats-Msg-Id": "icu/e/a/1"}
    async with (
        attacked(tmp_path) as (server, js),
        server.client(user) as client,
        server.client("compute") as compute,
    ):
        result, part = subjects.result("icu", "a"), "$O.cwt_objects.C.mine"
        await client.publish(result, b"forged", headers=id_of_next)
        await client.publish(part, b"forged", headers=id_of_next)
        await settled(client, js)
        for api in ("$JS.API", COPIES):
            last = f"{api}.DIRECT.GET.OBJ_cwt_objects.{part}"
            await client.publish(last, b"", reply=result)
        await settled(client, js)
        ack = await compute.jetstream().publish(result, b"real", headers=id_of_next)
        assert not ack.duplicate
        assert (await js.get_msg(storage.RESULTS, ack.seq)).data == b"real"


async def test_device_cannot_exhaust_ids_of_another(tmp_path: Path) -> None:
    """The next chunks of the victim were dropped as duplicates, and acknowledged."""
    samples, count = np.zeros((4, 2), "<f4"), 20
    async with (
        accounts_server(tmp_path, USERS) as server,
        server.client("other") as attacker,
        connect_bus(server.settings("icu"), name="icu", log=logger("test")) as bus,
        open_publisher(bus.log, "icu", "boot-1", sending=Sending()) as victim,
    ):
        for first in range(0, 4 * count, 4):
            for msg_id in (f"icu/boot-1/{first}", f"icu/boot-1/{first}+4"):
                ack = await attacker.jetstream().publish(
                    subjects.signal("other"), b"", headers={"Nats-Msg-Id": msg_id}
                )
                assert not ack.duplicate
            await victim.publish(samples)
        await victim.settled()
        assert (victim.kept, victim.duplicates) == (count, 0)
        async with server.client("operator") as operator:
            info = await operator.jetstream().stream_info(
                storage.SIGNALS, subjects_filter=subjects.signal("icu")
            )
            assert info.state.subjects == {subjects.signal("icu"): count}


@pytest.mark.parametrize("user", ["reader", "analyst"])
async def test_consumers_of_the_services_and_objects_of_others_are_out_of_reach(
    tmp_path: Path, user: str
) -> None:
    """They could be paused, changed in spite of a deny list, or purged by a header."""
    async with attacked(tmp_path) as (server, js), server.client(user) as client:
        before, readers = await everything(js), await consumers(js)
        change = {"stream_name": storage.WINDOWS, "config": {
            "durable_name": storage.COMPUTE_WINDOWS, "ack_policy": "explicit", "max_deliver": 1,
        }}  # fmt: skip
        until = json.dumps({"pause_until": "2099-01-01T00:00:00Z"}).encode()
        of_windows = f"{storage.WINDOWS}.{storage.COMPUTE_WINDOWS}"
        for api in ("$JS.API", COPIES):
            for request, body in (
                (f"CONSUMER.DURABLE.CREATE.{of_windows}", json.dumps(change).encode()),
                (f"CONSUMER.CREATE.{of_windows}", json.dumps(change).encode()),
                (f"CONSUMER.PAUSE.{of_windows}", until),
                (f"CONSUMER.DELETE.{of_windows}", b""),
                ("STREAM.PURGE.OBJ_cwt_objects", b""),
                ("STREAM.DELETE.OBJ_cwt_replies", b""),
            ):
                await client.publish(f"{api}.{request}", body, reply=client.new_inbox())
        for store in (storage.OBJECTS, storage.REPLIES):
            await client.publish(f"$O.{store}.M.x", b"{}", headers={"Nats-Rollup": "all"})
        await settled(client, js)
        assert await everything(js) == before
        assert await consumers(js) == readers
        copied = await counts(js)
        async with server.client("operator") as operator:
            assert await counts(operator.jetstream(domain="copies")) == copied


async def test_device_receives_no_replies_of_others(tmp_path: Path) -> None:
    """One subscription to all inboxes read chunks, checkpoints and everybody's replies."""
    async with (
        attacked(tmp_path) as (server, _),
        server.intruder("icu") as spy,
        server.client("operator") as service,
        server.client("other") as other,
    ):
        for subject in ("_INBOX.>", "_R_.>", "_INBOX.other.>", "_INBOX.*.*.*", ">", "cwt.>"):
            spy.subscribe(subject)
        spy.subscribe(subjects.event("icu"))
        assert len(await spy.refused()) == 6

        async def answer(message: Any) -> None:
            await message.respond(b"secret")

        await service.subscribe(subjects.stream("get"), cb=answer)
        await processed(service)
        assert (await other.request(subjects.stream("get"), b"")).data == b"secret"
        assert (await other.jetstream().publish(subjects.signal("other"), b"chunk")).seq
        await service.jetstream().publish(subjects.event("other"), b"event")
        assert await spy.refused() == set()
        assert spy.heard == []
        await service.jetstream().publish(subjects.event("icu"), b"event")
        await spy.refused()
        assert spy.heard == [subjects.event("icu")]


async def test_a_reader_of_one_stream_reads_no_other_one(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (server, js), server.client("ward") as ward:
        await js.publish(subjects.result("other", "a"), b"secret")
        for number, (in_subject, in_body) in enumerate((
            ("cwt.result.icu.*", "cwt.result.other.*"), ("cwt.result.icu.*", ">"),
            ("cwt.result.icu.*", None), ("cwt.event.icu", "cwt.result.other.a"),
        )):  # fmt: skip
            config = {"name": f"c{number}", "ack_policy": "none", "filter_subject": in_body}
            answer = await ward.request(
                f"{COPIES}.CONSUMER.CREATE.{storage.RESULTS}.c{number}.{in_subject}",
                json.dumps({"stream_name": storage.RESULTS, "config": config}).encode(),
            )
            assert "error" in json.loads(answer.data), in_body
        for in_subject in ("cwt.result.other.*", "cwt.result.*.*", "cwt.result.>", ">", "cwt.>"):
            create = f"{COPIES}.CONSUMER.CREATE.{storage.RESULTS}.wide.{in_subject}"
            config = {"name": "wide", "ack_policy": "none", "filter_subject": in_subject}
            body = json.dumps({"stream_name": storage.RESULTS, "config": config}).encode()
            with pytest.raises((nats.errors.TimeoutError, nats.errors.NoRespondersError)):
                await ward.request(create, body, timeout=0.3)


async def test_a_device_publishes_no_stream_of_another_one(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (server, js), server.client("icu") as icu:
        before = await everything(js)
        with pytest.raises((nats.errors.TimeoutError, NoStreamResponseError)):
            await icu.jetstream(timeout=0.5).publish(subjects.signal("other"), b"chunk")
        assert await everything(js) == before
