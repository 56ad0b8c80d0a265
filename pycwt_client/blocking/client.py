"""`pycwt_client.Client`, and the objects that it opens, with synchronous methods."""

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
from cwt_schemas.pair_result import PairsResult
from cwt_schemas.provisional import ProvisionalEstimate
from pycwt_client.blocking.face import Blocking, Held, giving, iterating, opening, waiting
from pycwt_client.client import Client as AsyncClient
from pycwt_client.connection import CONNECT_TIMEOUT_S
from pycwt_client.connection import connect as connect_async
from pycwt_client.estimates import Estimates as AsyncEstimates
from pycwt_client.feed import Feed as AsyncFeed
from pycwt_client.jobs import Job as AsyncJob
from pycwt_client.publisher import Publisher as AsyncPublisher

__all__ = ["Client", "Estimates", "Feed", "Job", "Publisher", "connect"]

Kept = TypeVar("Kept", bound=PersistedMessage)


class Publisher(Blocking[AsyncPublisher]):
    """Publish the samples of one stream, like `pycwt_client.Publisher`.

    Leaving the ``with``, or `close`, waits until every chunk is stored.
    """

    publish = waiting(AsyncPublisher.publish)
    push = waiting(AsyncPublisher.push)
    mark = waiting(AsyncPublisher.mark)
    flush = waiting(AsyncPublisher.flush)
    finish = waiting(AsyncPublisher.finish)
    restart = waiting(AsyncPublisher.restart)

    @property
    def epoch(self) -> str:
        """Name of the current run of the device."""
        return self._own.epoch

    @property
    def next_sample(self) -> int:
        """Default position of the next sample."""
        return self._own.next_sample

    @property
    def kept(self) -> int:
        """Number of chunks that are stored."""
        return self._own.kept

    @property
    def duplicates(self) -> int:
        """Number of retried chunks that were already in the log."""
        return self._own.duplicates

    @property
    def markers(self) -> int:
        """Number of markers that are stored."""
        return self._own.markers

    @property
    def resent(self) -> int:
        """Number of chunks that were retried."""
        return self._own.resent

    @property
    def first_unkept(self) -> int | None:
        """Lowest position that may not be stored after a failure; None without a failure."""
        return self._own.first_unkept

    @property
    def events(self) -> tuple[StreamEvent, ...]:
        """Up to 1000 of the newest events of the stream since the publisher was opened."""
        return self._own.events

    @property
    def refused(self) -> tuple[StreamEvent, ...]:
        """The `events` that report rejected samples of the current epoch."""
        return self._own.refused


class Feed(Blocking[AsyncFeed[Kept]]):
    """An endless iteration over stored and new messages, like `pycwt_client.Feed`."""

    def __iter__(self) -> Feed[Kept]:
        return self

    def __next__(self) -> Kept:
        return self._wait(self._own.__anext__)

    def read(self, timeout_s: float) -> Kept:
        """Return the next message.

        Raises
        ------
        TimeoutError
            No message arrived within `timeout_s` seconds; the next read continues.
        """

        async def read() -> Kept:
            with anyio.fail_after(timeout_s):
                return await anext(self._own)

        return self._wait(read)

    @property
    def seq(self) -> int:
        """Sequence number of the last message in the log; `start_seq = seq + 1` continues there."""
        return self._own.seq

    @property
    def skipped(self) -> int:
        """Number of messages skipped because they cannot be decoded."""
        return self._own.skipped

    @property
    def repeated(self) -> int:
        """Number of messages skipped because they were read before."""
        return self._own.repeated


class Estimates(Blocking[AsyncEstimates]):
    """An endless iteration over the newest estimates, like `pycwt_client.Estimates`."""

    def __iter__(self) -> Estimates:
        return self

    def __next__(self) -> ProvisionalEstimate:
        return self._wait(self._own.__anext__)

    @property
    def skipped(self) -> int:
        """Number of estimates that were not returned."""
        return self._own.skipped


class Job(Blocking[AsyncJob]):
    """One job, like `pycwt_client.Job`; `progress` and `results` are iterators."""

    state = waiting(AsyncJob.state)
    cancel = waiting(AsyncJob.cancel)
    retry = waiting(AsyncJob.retry)
    wait = waiting(AsyncJob.wait)
    collect = waiting(AsyncJob.collect)
    progress = iterating(AsyncJob.progress)
    results = iterating(AsyncJob.results)

    @property
    def job_id(self) -> str:
        """Id of the job, for `Client.job` in any program."""
        return self._own.job_id


class Client(Blocking[AsyncClient]):
    """`pycwt_client.Client` with synchronous methods; `connect` opens one."""

    put_stream = waiting(AsyncClient.put_stream)
    get_stream = waiting(AsyncClient.get_stream)
    list_streams = waiting(AsyncClient.list_streams)
    delete_stream = waiting(AsyncClient.delete_stream)
    purge_stream = waiting(AsyncClient.purge_stream)

    ask = waiting(AsyncClient.ask)
    cwt = waiting(AsyncClient.cwt)
    xwt = waiting(AsyncClient.xwt)
    wct = waiting(AsyncClient.wct)
    pwct = waiting(AsyncClient.pwct)
    mwct = waiting(AsyncClient.mwct)
    significance = waiting(AsyncClient.significance)
    benchmark = waiting(AsyncClient.benchmark)
    backends = waiting(AsyncClient.backends)
    hardware = waiting(AsyncClient.hardware)
    health = waiting(AsyncClient.health)

    submit = giving(AsyncClient.submit, Job)
    jobs = waiting(AsyncClient.jobs)

    def job(self, job_id: str) -> Job:
        """Return the job with this id, without checking that it exists."""
        return Job(self._portal, self._own.job(job_id), ExitStack())

    next_seq = waiting(AsyncClient.next_seq)
    export = waiting(AsyncClient.export)
    publisher = opening(AsyncClient.publisher, Publisher)
    results = opening(AsyncClient.results, Feed[AnalysisResult])
    pair_results = opening(AsyncClient.pair_results, Feed[PairsResult])
    now = opening(AsyncClient.now, Estimates)
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
    """Connect to the NATS server at `url`; arguments as in `pycwt_client.connect`.

    The client runs in a separate thread until `Client.close`, or until its ``with`` is left.
    Otherwise the end of the program closes it.

    Raises
    ------
    Unavailable
        No server replies at `url`.
    """
    with ExitStack() as opened:
        portal = opened.enter_context(start_blocking_portal(name="pycwt-client"))
        opened.callback(portal.call, portal.stop, True)  # ends calls that still wait
        context = connect_async(url, name=name, creds=creds, timeout_s=timeout_s, log=log)
        own = opened.enter_context(Held(portal, context))
        client = Client(portal, own, held := opened.pop_all())
    atexit.register(client.close)
    held.callback(atexit.unregister, client.close)
    return client
