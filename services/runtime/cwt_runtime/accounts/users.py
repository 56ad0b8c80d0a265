"""The users of a shared bus and their permissions, from which `nats_config` is generated.

Services and operators are in the account ``CWT``. Devices, readers and analysts are in separate
accounts, which import the subjects that they may use. A reply subject that they choose is in their
account, so a reply of a service or of JetStream never reaches a subject of ``CWT``.

Readers and analysts do not read the streams of ``CWT`` but copies of them (mirrors), in the account
``COPIES``, where no service listens. The reason: to read a stream, a client creates a consumer, and
a consumer delivers to any subject that its creator names. In ``CWT``, that could be the request
subject of a service.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, get_args

from cwt_runtime.accounts.copies import COPIED, COPIES_DOMAIN
from cwt_schemas import storage, subjects
from cwt_schemas.message import is_name
from cwt_schemas.subjects import JobVerb, QueryOp, StreamVerb

__all__ = [
    "Account",
    "User",
    "analyst",
    "device",
    "inbox_prefix",
    "reader",
    "service_users",
]

INBOXES: Final = "_INBOX.>"
#: Reply subjects: within the account, and to another account.
ANSWERS: Final = (INBOXES, "_R_.>")
#: ADR-32: discovery subjects, on which every service replies.
DISCOVERY: Final = "$SRV.>"
JS: Final = "$JS.API"
COPIES: Final = f"$JS.{COPIES_DOMAIN}.API"


class Account(StrEnum):
    """An account of the server; its users share subjects."""

    CWT = "CWT"
    COPIES = "COPIES"
    DEVICES = "DEVICES"
    READERS = "READERS"
    ANALYSTS = "ANALYSTS"


@dataclass(frozen=True, kw_only=True)
class User:
    """A user of the server, and the subjects that it may publish and subscribe to."""

    name: str
    account: Account
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    def __post_init__(self) -> None:
        """Reject a name that cannot be a token of the inbox prefix."""
        if not is_name(self.name):
            raise ValueError(f"{self.name!r} is not a user name: use letters, digits, - and _")


def inbox_prefix(user: str) -> str:
    """Return the prefix of a user's inboxes, which no other user may subscribe to."""
    return f"_INBOX.{user}"


def _user(
    name: str, account: Account, publish: Iterable[str], subscribe: Iterable[str] = ()
) -> User:
    return User(
        name=name,
        account=account,
        publish=tuple(dict.fromkeys(publish)),
        subscribe=(f"{inbox_prefix(name)}.>", *subscribe),
    )


def device(name: str, streams: Iterable[str]) -> User:
    """Return the user of a device that publishes the signals and markers of `streams`.

    Its markers are requests to ingest (`nats_config`), because in the log of results the server
    would drop a result with the message id of a marker as a duplicate.
    """
    own = tuple(streams)
    return _user(
        name,
        Account.DEVICES,
        (*map(subjects.signal, own), *map(subjects.marker, own), subjects.stream("get")),
        (*map(subjects.event, own), *map(subjects.now_of, own)),
    )


def reader(name: str, streams: Iterable[str] = ()) -> User:
    """Return a user that reads results, events and markers of `streams`, or of all streams."""
    own = tuple(streams)
    filters = [
        each
        for stream in own
        for each in (subjects.results_of(stream), subjects.event(stream), subjects.marker(stream))
    ]
    # The server checks a single filter of a consumer against permissions, but not several filters.
    # Only a user that reads all streams may read results, events and markers with one consumer.
    several = () if filters else (f"{COPIES}.CONSUMER.CREATE.{storage.RESULTS}.*",)
    only = filters or [subjects.RESULTS, subjects.EVENTS, subjects.MARKERS]
    return _user(
        name,
        Account.READERS,
        (
            subjects.stream("get"),
            subjects.stream("list"),
            *_reading(COPIES, storage.RESULTS, only),
            *several,
        ),
        [subjects.now_of(stream) for stream in own] or [subjects.NOW],
    )


def analyst(name: str) -> User:
    """Return a user that sends queries and jobs, and reads their results."""
    return _user(
        name,
        Account.ANALYSTS,
        (
            *_queries(),
            *_jobs(),
            subjects.HW_LIST,
            *_reading(COPIES, storage.JOB_RESULTS, [subjects.JOB_RESULTS]),
            *_reading_objects(COPIES, storage.REPLIES),
            *_reading_objects(COPIES, storage.OBJECTS),
        ),
        (subjects.PROGRESS,),
    )


def service_users() -> tuple[User, ...]:
    """Return the users of the services and of the people who run them."""
    cwt = Account.CWT
    return (
        _user(
            "ingest",
            cwt,
            _ingest(),
            _serving(*map(subjects.stream, get_args(StreamVerb)), subjects.MARKS),
        ),
        _user(
            "compute",
            cwt,
            _compute(),
            _serving(*_queries(), *_internal(), *_jobs(), subjects.NEWEST),
        ),
        _user("hwbridge", cwt, _hwbridge(), _serving(subjects.HW)),
        _user(
            "gateway", cwt, _gateway(), _serving(subjects.PROGRESS, subjects.EVENTS, subjects.NOW)
        ),
        _user("doctor", cwt, _doctor()),
        _user("operator", cwt, (">",), (">",)),
    )


#: Requests of every service at start, about streams that ingest has created.
_INSPECTING: Final = (f"{JS}.STREAM.INFO.*", f"{JS}.CONSUMER.INFO.*.*")


def _ingest() -> Iterable[str]:
    yield from (*ANSWERS, *_INSPECTING)
    yield from (f"{JS}.STREAM.CREATE.*", f"{JS}.STREAM.UPDATE.*")
    yield f"{JS}.CONSUMER.DURABLE.CREATE.*.*"
    for verb in ("INFO", "CREATE", "UPDATE"):
        yield from (f"{COPIES}.STREAM.{verb}.{stream}" for stream in COPIED)
    yield from (subjects.WINDOWS, subjects.EVENTS, subjects.audits_of("stream"))
    yield subjects.MARKERS
    yield from (subjects.NEWEST, subjects.query("fit"))
    yield from _reading(JS, storage.SIGNALS)
    for bucket in (storage.KV_STREAMS, storage.KV_CHECKPOINTS):
        yield from (*_bucket(bucket), *_reading(JS, f"KV_{bucket}"))
    # To remove a recording, and to check that a stream can be written.
    yield from (f"{JS}.INFO", f"{JS}.STREAM.PURGE.*")
    yield from _reading(JS, storage.DEAD)
    yield f"{JS}.STREAM.MSG.DELETE.{storage.DEAD}"


def _compute() -> Iterable[str]:
    yield from (*ANSWERS, *_INSPECTING)
    yield from (subjects.RESULTS, subjects.NOW, subjects.EVENTS, subjects.dead("compute"))
    yield subjects.audits_of("job")
    yield from (subjects.TASKS, subjects.JOB_RESULTS, subjects.PROGRESS)
    yield from (subjects.query("simulate"), subjects.stream("health"), subjects.HW)
    for stream, consumer in (
        (storage.WINDOWS, storage.COMPUTE_WINDOWS),
        (storage.TASKS, storage.COMPUTE_TASKS),
    ):
        yield f"{JS}.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        yield f"$JS.ACK.{stream}.{consumer}.>"
    yield from _reading(JS, storage.JOB_RESULTS)
    yield from (*_bucket(storage.KV_JOBS), *_reading(JS, f"KV_{storage.KV_JOBS}"))
    yield from _bucket(storage.KV_SIGNIFICANCE)
    for objects in (storage.OBJECTS, storage.ANSWERS):
        yield from (*_reading_objects(JS, objects), *_writing_objects(objects))
    yield from _writing_objects(storage.REPLIES)


def _hwbridge() -> Iterable[str]:
    yield from (*ANSWERS, *_INSPECTING, subjects.HW_EVENTS)


def _gateway() -> Iterable[str]:
    """Return the subjects for HTTP clients, which act as devices, readers and analysts."""
    yield from (INBOXES, *_INSPECTING, DISCOVERY)
    yield from map(subjects.stream, get_args(StreamVerb))
    yield from (subjects.SIGNALS, subjects.MARKERS, *_queries(), *_jobs(), subjects.HW_LIST)
    for stream in (storage.SIGNALS, storage.RESULTS, storage.JOB_RESULTS):
        yield from _reading(JS, stream)
    # Results, events and markers with one consumer.
    yield f"{JS}.CONSUMER.CREATE.{storage.RESULTS}.*"
    # Definitions, to end an upload when its stream is deleted; keys, to authenticate clients.
    for bucket in (storage.KV_STREAMS, storage.KV_KEYS):
        yield from _reading(JS, f"KV_{bucket}")
    yield from _reading_objects(JS, storage.REPLIES)
    yield from _reading_objects(JS, storage.OBJECTS)
    yield from _writing_objects(storage.OBJECTS)


def _doctor() -> Iterable[str]:
    yield from (f"{JS}.INFO", *_INSPECTING, DISCOVERY)
    yield from (subjects.query("health"), subjects.stream("health"), subjects.HW_LIST)
    # The servers, and the connections of this account.
    yield from ("$SYS.REQ.ACCOUNT.PING.STATZ", "$SYS.REQ.ACCOUNT.PING.CONNZ")


def _serving(*requests: str) -> tuple[str, ...]:
    return (DISCOVERY, *requests)


def _queries() -> tuple[str, ...]:
    """Return the subjects of queries that clients send."""
    internal = _internal()
    return tuple(each for each in map(subjects.query, get_args(QueryOp)) if each not in internal)


def _internal() -> tuple[str, ...]:
    """Return the subjects of queries that services send to workers."""
    return (subjects.query("simulate"), subjects.query("fit"))


def _jobs() -> tuple[str, ...]:
    return tuple(map(subjects.job, get_args(JobVerb)))


def _reading(api: str, stream: str, only: Iterable[str] = (">",)) -> Iterable[str]:
    """Return the subjects for reading a stream through consumers with one filter from `only`.

    Consumer names are random, so other readers cannot guess them.
    """
    yield f"{api}.STREAM.INFO.{stream}"
    yield from (f"{api}.CONSUMER.CREATE.{stream}.*.{each}" for each in only)
    yield from (f"{api}.CONSUMER.{verb}.{stream}.*" for verb in ("INFO", "MSG.NEXT", "DELETE"))


def _reading_objects(api: str, bucket: str) -> Iterable[str]:
    yield from _reading(api, f"OBJ_{bucket}", [f"$O.{bucket}.C.*"])
    yield f"{api}.STREAM.MSG.GET.OBJ_{bucket}"


def _writing_objects(bucket: str) -> Iterable[str]:
    """Return the subjects for storing and removing objects, which includes a look-up by name."""
    yield from (f"$O.{bucket}.>", f"{JS}.STREAM.PURGE.OBJ_{bucket}")
    yield f"{JS}.STREAM.MSG.GET.OBJ_{bucket}"


def _bucket(bucket: str) -> Iterable[str]:
    """Return the subjects for reading and writing single values of a bucket."""
    yield from (f"$KV.{bucket}.>", f"{JS}.STREAM.MSG.GET.KV_{bucket}")
