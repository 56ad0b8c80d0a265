"""Resolve a request to a connection to the bus.

Every route and socket reaches the bus only through `caller` or `gateway_itself`. Without keys, all
requests share the connection of the gateway. With keys, each request uses the connection of its
key's user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from cwt_gateway.authentication import grant_of, unauthorized
from cwt_gateway.bus_users import BusUsers
from cwt_runtime.bus import Bus
from pycwt_client import Client

__all__ = ["Caller", "Calling", "Itself", "caller", "gateway_itself"]


@dataclass(frozen=True)
class Caller:
    """The client that sent a request, and its connection to the bus."""

    client: Client

    @property
    def bus(self) -> Bus:
        """The connection that has the caller's permissions."""
        return self.client.bus


# Coroutines, since FastAPI would run plain functions in a thread.
async def caller(connection: HTTPConnection) -> Caller:
    """Return the caller of a request or of a WebSocket.

    Raises
    ------
    Unavailable
        The bus cannot be reached as the user of the key.
    ProblemDetails
        401: the route is public, and this needs a key.
    """
    state = connection.app.state
    users: BusUsers | None = state.bus_users
    if users is None:
        return await gateway_itself(connection)
    grant = grant_of(connection)
    if grant is None:
        raise unauthorized("this needs a key")
    record = grant.record
    return Caller(await users.client(record.user, record.role, state.background))


async def gateway_itself(connection: HTTPConnection) -> Caller:
    """Return the gateway as a client of the bus, for routes about the gateway."""
    itself = connection.app.state.caller
    assert isinstance(itself, Caller)  # noqa: S101 - make_app puts it there
    return itself


#: Types of the parameter of a route.
Calling = Annotated[Caller, Depends(caller)]
Itself = Annotated[Caller, Depends(gateway_itself)]
