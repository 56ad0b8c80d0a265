"""Users that are added, removed and given other passwords while the server runs."""

from __future__ import annotations

from pathlib import Path

import anyio.lowlevel
import pytest

from cwt_runtime.accounts.folder import password_file, write_accounts
from cwt_runtime.accounts.users import device
from cwt_schemas import subjects
from tests.accounts import AccountsServer, accounts_server
from tests.deadlines import fail_after

pytestmark = [pytest.mark.anyio, pytest.mark.system]

ICU, EEG = device("icu", ("icu",)), device("eeg", ("eeg",))


async def until_let_in(server: AccountsServer, user: str) -> None:
    with fail_after(20):
        while not await server.lets_in(user, server.password(user)):
            await anyio.lowlevel.checkpoint()


async def test_a_device_is_added_and_the_others_stay_connected(tmp_path: Path) -> None:
    async with accounts_server(tmp_path, [ICU]) as server, server.client("icu") as icu:
        write_accounts(tmp_path, [ICU, EEG])
        server.reload()
        await until_let_in(server, "eeg")
        async with server.client("eeg") as eeg:
            assert (await eeg.jetstream().publish(subjects.signal("eeg"), b"x")).seq == 1
        assert (await icu.jetstream().publish(subjects.signal("icu"), b"x")).seq == 2


async def test_a_removed_user_is_disconnected_and_refused(tmp_path: Path) -> None:
    async with accounts_server(tmp_path, [ICU, EEG]) as server, server.intruder("eeg") as eeg:
        write_accounts(tmp_path, [ICU])
        server.reload()
        with fail_after(20):
            await eeg.ended()
        assert not await server.lets_in("eeg", server.password("eeg"))


async def test_an_old_password_is_disconnected_and_refused(tmp_path: Path) -> None:
    async with accounts_server(tmp_path, [ICU]) as server, server.intruder("icu") as icu:
        old = server.password("icu")
        password_file(tmp_path, "icu").unlink()
        write_accounts(tmp_path, [ICU])
        assert server.password("icu") != old
        server.reload()
        with fail_after(20):
            await icu.ended()
        assert not await server.lets_in("icu", old)
        await until_let_in(server, "icu")
