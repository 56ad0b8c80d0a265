"""The state of a connection: reported in the log, with the delay before the next try.

A server that is away, or takes no more connections, is tried again four times a second. One that
does not let this user in, or with which TLS fails, is tried again with a growing delay: another try
a moment later has the same result.
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

#: Pause between two tries to reach a server that is away.
RECONNECT_WAIT_S = 0.25
#: Pauses between tries while the server refuses the user.
WHILE_REFUSED = RetryPolicy(first_delay_s=0.5, max_delay_s=60.0, max_tries=None)
#: Tries to connect that fail for each report of it; the first one is reported.
REPORT_EVERY = 40


class ConnectionWatch:
    """Reports in the log what happens to a connection; `closed` is set when it ends for good.

    Parameters
    ----------
    wait_if_refused
        If false, `on_error` raises `AccessRefusedError` out of the driver's `connect` once as many
        tries as there are servers were refused.
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
        #: Refusals that are raised instead of waited for, None once connected.
        self._refusals_limit = None if wait_if_refused else settings.url.count(",") + 1
        self._failures = 0
        self._refusals = 0
        self.leaving = False

    async def on_error(self, error: Exception) -> None:
        """Report what the driver complains about."""
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
        """Report that the connection broke."""
        if not self.leaving:
            metrics.BUS_LOST.inc()
            self._log.warning(Action.BUS_LOST, url=self._settings.address)

    async def on_connected(self) -> None:
        """Report that the connection was made."""
        self._failures = self._refusals = 0
        self._refusals_limit = None
        self._client.wait_between_tries(RECONNECT_WAIT_S)
        self._log.info(Action.BUS_CONNECTED, url=self._settings.address)

    async def on_closed(self) -> None:
        """Report that the connection is closed for good."""
        self.closed.set()
        if not self.leaving:
            self._log.error(Action.BUS_CLOSED, url=self._settings.address)
