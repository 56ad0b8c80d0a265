"""`pycwt_client.Client`, and what it opens, for a program that waits."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from typing import TypeVar

import anyio
from anyio.from_thread import start_blocking_portal

from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.telemetry.logs import Log
from cwt_schemas.live import AnalysisResult, StreamEvent
from cwt_schemas.marker import Marker
from cwt_schemas.message import PersistedMessage
from pycwt_client.blocking.face import Blocking, Held, giving, iterating, opening, waiting
from pycwt_client.client import Client as AsyncClient
from pycwt_client.connection import CONNECT_TIMEOUT_S
from pycwt_client.connection import connect as connect_async
from pycwt_client.feed import Feed as AsyncFeed
from pycwt_client.jobs import Job as AsyncJob
from pycwt_client.publisher import Publisher as AsyncPublisher

__all__ = ["Client", "Feed", "Job", "Publisher", "connect"]

Kept = TypeVar("Kept", bound=PersistedMessage)


class Publisher(Blocking[AsyncPublisher]):
    """Publishes the chunks of one epoch of one stream, as `pycwt_client.Publisher`.

    Leaving the ``with``, or `close`, waits until every chunk is kept.
    """

    publish = waiting(AsyncPublisher.publish)
    push = waiting(AsyncPublisher.push)
    mark = waiting(AsyncPublisher.mark)
    flush = waiting(AsyncPublisher.flush)
    finish = waiting(AsyncPublisher.finish)
    restart = waiting(AsyncPublisher.restart)

    @property
    def epoch(self) -> str:
        """Name of the present run."""
        return self._own.epoch

    @property
    def next_sample(self) -> int:
        """Position that the next sample gets when the call says none."""
        return self._own.next_sample

    @property
    def kept(self) -> int:
        """Chunks acknowledged."""
        return self._own.kept

    @property
    def duplicates(self) -> int:
        """Of the chunks that had to be sent again, those that were in the log already."""
        return self._own.duplicates

    @property
    def markers(self) -> int:
        """Markers that are stored."""
        return self._own.markers

    @property
    def resent(self) -> int:
        """Chunks that had to be sent again."""
        return self._own.resent

    @property
    def first_unkept(self) -> int | None:
        """After a failure: the lowest position that may not be kept."""
        return self._own.first_unkept

    @property
    def events(self) -> tuple[StreamEvent, ...]:
        """Events of the stream since the publisher was opened, the newest 1000."""
        return self._own.events

    @property
    def refused(self) -> tuple[StreamEvent, ...]:
        """Of `events`, those that say that samples of the present epoch are refused."""
        return self._own.refused


class Feed(Blocking[AsyncFeed[Kept]]):
    """An endless iteration over what is kept and what comes, as `pycwt_client.Feed`."""

    def __iter__(self) -> Feed[Kept]:
        return self

    def __next__(self) -> Kept:
        return self._wait(self._own.__anext__)

    def read(self, timeout_s: float) -> Kept:
        """Return the next message.

        Raises
        ------
        TimeoutError
            None came within `timeout_s` seconds; nothing is lost, the next read goes on.
        """

        async def read() -> Kept:
            with anyio.fail_after(timeout_s):
                return await anext(self._own)

        return self._wait(read)

    @property
    def seq(self) -> int:
        """Place of the last message in the log; `start_seq = seq + 1` goes on there."""
        return self._own.seq

    @property
    def skipped(self) -> int:
        """Messages passed over because nobody can read them."""
        return self._own.skipped

    @property
    def repeated(self) -> int:
        """Messages passed over because they came before."""
        return self._own.repeated


class Job(Blocking[AsyncJob]):
    """One job, as `pycwt_client.Job`; `progress` and `results` are for a ``for`` loop."""

    state = waiting(AsyncJob.state)
    cancel = waiting(AsyncJob.cancel)
    retry = waiting(AsyncJob.retry)
    wait = waiting(AsyncJob.wait)
    collect = waiting(AsyncJob.collect)
    progress = iterating(AsyncJob.progress)
    results = iterating(AsyncJob.results)

    @property
    def job_id(self) -> str:
        """Finds the job again, from any program."""
        return self._own.job_id


class Client(Blocking[AsyncClient]):
    """What `pycwt_client.Client` can do, in calls that wait; `connect` makes one."""

    put_stream = waiting(AsyncClient.put_stream)
    get_stream = waiting(AsyncClient.get_stream)
    list_streams = waiting(AsyncClient.list_streams)
    delete_stream = waiting(AsyncClient.delete_stream)
    purge_stream = waiting(AsyncClient.purge_stream)

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
    export = waiting(AsyncClient.export)
    publisher = opening(AsyncClient.publisher, Publisher)
    results = opening(AsyncClient.results, Feed[AnalysisResult])
    events = opening(AsyncClient.events, Feed[StreamEvent])
    mark = waiting(AsyncClient.mark)
    markers = opening(AsyncClient.markers, Feed[Marker])


def connect(
    url: str | ConnectSettings | None = None,
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
