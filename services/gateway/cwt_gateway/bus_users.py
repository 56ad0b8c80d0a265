"""Connections to the bus, one for each user that keys act as.

A request with a key is sent over the connection of the key's user, so the server of the bus decides
what the key may do. The gateway has the passwords of these users in a folder (``CWT_HTTP_USERS``).
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from cwt_runtime.accounts.folder import settings_as
from cwt_runtime.bus.errors import AccessRefusedError, UnusableConnectionError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas.access import Role
from cwt_schemas.errors import Unavailable
from pycwt_client import Client

__all__ = ["BusUsers"]

#: Deadline of a connection, seconds; a running server accepts a user within milliseconds.
CONNECT_S: Final = 5.0


class BusUsers:
    """Connections that are opened on first use and then kept open.

    Parameters
    ----------
    passwords
        Folder with a file for each user.
    service
        Connection settings of the gateway itself.
    """

    def __init__(self, passwords: Path, service: ConnectSettings, log: Log) -> None:
        self._passwords = passwords
        self._service = service
        self._log = log
        self._clients: dict[tuple[str, Role], Client] = {}
        self._turns: defaultdict[tuple[str, Role], anyio.Lock] = defaultdict(anyio.Lock)

    async def client(self, user: str, role: Role, background: TaskGroup) -> Client:
        """Return a client that acts as `user`; a task in `background` holds its connection.

        Raises
        ------
        Unavailable
            The server is unreachable or refuses the user, or there is no password.
        """
        async with self._turns[user, role]:
            client = self._clients.get((user, role))
            if client is None:
                client = await self._connect(user, role, background)
            return client

    async def _connect(self, user: str, role: Role, background: TaskGroup) -> Client:
        try:
            with anyio.fail_after(CONNECT_S):
                client: Client = await background.start(self._hold, user, role)
        except TimeoutError:
            raise Unavailable(f"the bus cannot be reached as the user {user}") from None
        except (AccessRefusedError, UnusableConnectionError) as error:
            self._log.error(Action.BUS_REFUSED, user=user, detail=str(error))
            raise Unavailable(
                f"the gateway cannot connect as the user {user} of the bus; its log says why"
            ) from None
        return client

    async def _hold(self, user: str, role: Role, *, task_status: TaskStatus[Client]) -> None:
        connecting = connect_bus(
            settings_as(user, role, self._passwords, self._service),
            name=f"gateway for {user}",
            log=self._log,
            wait_if_refused=False,
            raise_forbidden=True,
        )
        async with connecting as bus:
            client = self._clients[user, role] = Client(bus)
            try:
                task_status.started(client)
                await bus.closed()
            finally:
                with suppress(KeyError):
                    del self._clients[user, role]
