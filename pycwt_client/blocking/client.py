"""`pycwt_client.Client` for a program that waits."""

from __future__ import annotations

import atexit
from contextlib import ExitStack

from anyio.from_thread import start_blocking_portal

from pycwt_client.blocking.face import Blocking, giving, opening, waiting
from pycwt_client.blocking.feed import Feed
from pycwt_client.blocking.held import Held
from pycwt_client.blocking.job import Job
from pycwt_client.blocking.publisher import Publisher
from pycwt_client.client import CONNECT_TIMEOUT_S
from pycwt_client.client import Client as AsyncClient
from pycwt_client.client import connect as connect_async
from schemas.live import AnalysisResult, StreamEvent
from services.runtime.telemetry.logs import Log

__all__ = ["Client", "connect"]


class Client(Blocking[AsyncClient]):
    """What `pycwt_client.Client` can do, in calls that wait; `connect` makes one."""

    put_stream = waiting(AsyncClient.put_stream)
    get_stream = waiting(AsyncClient.get_stream)
    list_streams = waiting(AsyncClient.list_streams)
    delete_stream = waiting(AsyncClient.delete_stream)

    ask = waiting(AsyncClient.ask)
    cwt = waiting(AsyncClient.cwt)
    xwt = waiting(AsyncClient.xwt)
    wct = waiting(AsyncClient.wct)
    significance = waiting(AsyncClient.significance)
    benchmark = waiting(AsyncClient.benchmark)
    backends = waiting(AsyncClient.backends)
    hardware = waiting(AsyncClient.hardware)
    health = waiting(AsyncClient.health)

    submit = giving(AsyncClient.submit, Job)
    jobs = waiting(AsyncClient.jobs)

    def job(self, job_id: str) -> Job:
        """Return the job of that id; whether there is one shows when it is asked."""
        return Job(self._portal, self._own.job(job_id), ExitStack())

    next_seq = waiting(AsyncClient.next_seq)
    publisher = opening(AsyncClient.publisher, Publisher)
    results = opening(AsyncClient.results, Feed[AnalysisResult])
    events = opening(AsyncClient.events, Feed[StreamEvent])


def connect(
    url: str,
    *,
    name: str = "pycwt-client",
    creds: str | None = None,
    timeout_s: float = CONNECT_TIMEOUT_S,
    log: Log | None = None,
) -> Client:
    """Connect to the NATS server at `url`; arguments as of `pycwt_client.connect`.

    Everything behind the client runs in one thread of its own, until `Client.close`, or until the
    ``with`` that holds the client is left; a program that does neither closes it by ending.

    Raises
    ------
    Unavailable
        There is no server at `url`.
    """
    with ExitStack() as opened:
        portal = opened.enter_context(start_blocking_portal(name="pycwt-client"))
        opened.callback(portal.call, portal.stop, True)  # calls that still wait come to an end
        context = connect_async(url, name=name, creds=creds, timeout_s=timeout_s, log=log)
        own = opened.enter_context(Held(portal, context))
        client = Client(portal, own, held := opened.pop_all())
    atexit.register(client.close)
    held.callback(atexit.unregister, client.close)
    return client
