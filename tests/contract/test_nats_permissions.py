"""What permissions on subjects can restrict of JetStream's interface."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from cwt_runtime.bus.errors import ForbiddenError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from tests.contract.conftest import small_topology
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

LOG = logger("test")


async def test_permissions_can_restrict_a_reader_to_one_stream(tmp_path: Path) -> None:
    api = "$JS.API.CONSUMER"
    allowed = [
        f"{api}.CREATE.{storage.RESULTS}.*.{subjects.results_of('icu')}",
        f"{api}.MSG.NEXT.{storage.RESULTS}.*", f"{api}.DELETE.{storage.RESULTS}.*",
    ]  # fmt: skip
    users = (
        "authorization { users: [ { user: all, password: a }, { user: ward, password: w, "
        f'permissions: {{ publish: {json.dumps(allowed)}, subscribe: ["_INBOX.>"] }} }} ] }}'
    )
    async with (
        start_server(tmp_path / "nats", settings=users) as server,
        connect_bus(server.url.replace("//", "//all:a@"), name="all", log=LOG) as bus,
        connect_bus(server.url.replace("//", "//ward:w@"), name="ward", log=LOG) as ward,
    ):
        await bus.log.declare(small_topology())
        for stream in ("icu", "other"):
            await bus.log.store(subjects.result(stream, "a"), b"", msg_id=stream)
        own, every = (subjects.results_of("icu"),), (subjects.RESULTS,)
        with fail_after(20):
            async with ward.log.read(storage.RESULTS, own) as stored:
                assert [each.message.subject async for each in stored] == ["cwt.result.icu.a"]
        for subjects_wanted in (every, (*own, subjects.results_of("other"))):
            with anyio.move_on_after(0.5) as waited:
                async with ward.log.read(storage.RESULTS, subjects_wanted) as stored:
                    await anext(stored)
            assert waited.cancelled_caught


async def test_what_a_user_may_not_do_fails_immediately_where_that_is_asked_for(
    tmp_path: Path,
) -> None:
    users = (
        'authorization { users: [ { user: ward, password: w, permissions: { publish: ["a"], '
        'subscribe: ["_INBOX.>", "a"] } } ] }'
    )
    async with (
        start_server(tmp_path / "nats", settings=users) as server,
        connect_bus(
            server.url.replace("//", "//ward:w@"), name="ward", log=LOG, raise_forbidden=True
        ) as ward,
    ):
        with fail_after(20):
            for _ in range(2):
                with pytest.raises(ForbiddenError, match="no permission for b"):
                    await ward.request("b", b"", timeout_s=60)
                with pytest.raises(ForbiddenError, match=r"for \$JS.API.STREAM.INFO.CWT_RESULTS"):
                    await ward.log.last_seq(storage.RESULTS)
                with pytest.raises(ForbiddenError, match=r"cwt\.result\.s\.a"):
                    await ward.log.store(subjects.result("s", "a"), b"", msg_id="m")
                with pytest.raises(ForbiddenError, match=r"CREATE\.CWT_RESULTS"):
                    async with ward.log.replay(storage.RESULTS, (subjects.RESULTS,)) as stored:
                        await anext(stored)
                with pytest.raises(ForbiddenError, match="for b"):
                    async with ward.subscribe("b"):
                        pass
            async with ward.subscribe("a") as heard:
                await ward.publish("a", b"1")
                assert (await anext(aiter(heard))).data == b"1"
