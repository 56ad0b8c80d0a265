"""From a request to a connection to the bus.

Every route and socket reaches the bus through `caller` alone. There is one connection for all of
them as long as requests carry no identity; keys and sessions resolve to connections here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from cwt_runtime.bus import Bus
from pycwt_client import Client

__all__ = ["Caller", "Calling", "caller"]


@dataclass(frozen=True)
class Caller:
    """The client that sent a request, and its connection to the bus."""

    client: Client

    @property
    def bus(self) -> Bus:
        """The connection that has the caller's rights."""
        return self.client.bus


# Not a plain function: FastAPI would run that in a thread.
async def caller(connection: HTTPConnection) -> Caller:
    """Return the caller of a request or of a WebSocket."""
    common = connection.app.state.caller
    assert isinstance(common, Caller)  # noqa: S101 - make_app puts it there
    return common


#: The type of a route's parameter.
Calling = Annotated[Caller, Depends(caller)]
