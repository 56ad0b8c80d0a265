"""Report the state of a connection in the log, and set the delay before the next try.

If the server is unreachable, or accepts no more connections, the client tries four times a second.
If the server refuses the user, or TLS fails, the delay grows, because an immediate retry would fail
for the same reason.
"""

from __future__ import annotations

import anyio

from cwt_runtime.bus.errors import AccessRefusedError
from cwt_runtime.bus.nats.client import OrderedClient
from cwt_runtime.bus.nats.refusals import refusal_of
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.retry import RetryPolicy
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import Action, Log

__all__ = ["RECONNECT_WAIT_S", "REPORT_EVERY", "WHILE_REFUSED", "ConnectionWatch"]

#: Delay between two tries to reach an unreachable server, seconds.
RECONNECT_WAIT_S = 0.25
#: Delays between tries while the server refuses the user.
WHILE_REFUSED = RetryPolicy(first_delay_s=0.5, max_delay_s=60.0, max_tries=None)
#: Report every n-th failed try to connect, beginning with the first.
REPORT_EVERY = 40


class ConnectionWatch:
    """Log the events of a connection; `closed` is set when it is closed permanently.

    Parameters
    ----------
    wait_if_refused
        If False, `on_error` raises `AccessRefusedError` from within the driver's `connect` when
        the number of refused tries reaches the number of servers.
    """

    def __init__(
        self,
        client: OrderedClient,
        settings: ConnectSettings,
        log: Log,
        *,
        wait_if_refused: bool,
    ) -> None:
        self._client = client
        self._settings = settings
        self._log = log
        self.closed = anyio.Event()
        #: Number of refusals after which to raise instead of waiting; None once connected.
        self._refusals_limit = None if wait_if_refused else settings.url.count(",") + 1
        self._failures = 0
        self._refusals = 0
        self.leaving = False

    async def on_error(self, error: Exception) -> None:
        """Log an error reported by the driver."""
        refusal = refusal_of(error, self._settings)
        if refusal is not None:
            self._take_refusal(refusal)
            return
        detail = str(error) or type(error).__name__
        if self._client.is_connected:
            self._log.warning(Action.BUS_ERROR, detail=detail)
            return
        if self._failures % REPORT_EVERY == 0:
            self._log.warning(Action.BUS_WAITING, url=self._settings.address, detail=detail)
        self._failures += 1

    def _take_refusal(self, refusal: str) -> None:
        self._refusals += 1
        self._client.wait_between_tries(WHILE_REFUSED.delay_s(self._refusals))
        if self._refusals_limit is not None and self._refusals >= self._refusals_limit:
            raise AccessRefusedError(refusal)
        if self._refusals == 1:
            self._log.warning(Action.BUS_REFUSED, url=self._settings.address, detail=refusal)

    async def on_lost(self) -> None:
        """Log that the connection was lost."""
        if not self.leaving:
            metrics.BUS_LOST.inc()
            self._log.warning(Action.BUS_LOST, url=self._settings.address)

    async def on_connected(self) -> None:
        """Log that the connection is established."""
        self._failures = self._refusals = 0
        self._refusals_limit = None
        self._client.wait_between_tries(RECONNECT_WAIT_S)
        self._log.info(Action.BUS_CONNECTED, url=self._settings.address)

    async def on_closed(self) -> None:
        """Log that the connection is closed permanently."""
        self.closed.set()
        if not self.leaving:
            self._log.error(Action.BUS_CLOSED, url=self._settings.address)
