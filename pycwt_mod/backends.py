"""Places where Monte Carlo tasks may run, and how to find out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

import joblib

T = TypeVar("T")
R = TypeVar("R")

#: Entry-point group under which other packages offer backends; each names a class or factory.
GROUP = "pycwt_mod.backends"

BackendType = Literal["cpu", "hardware", "cluster"]


class Backend(Protocol):
    """A place that runs independent tasks. It only maps: seeds and sums belong to others.

    Guarantees: results come in the order of the tasks, each exactly once; the first failing
    task's exception is raised.
    """

    @property
    def name(self) -> str:
        """Name for `get_backend`."""

    @property
    def description(self) -> str:
        """One line for people."""

    @property
    def type(self) -> BackendType:
        """Kind of machine."""

    def is_available(self) -> bool:
        """Whether tasks can run now; never accesses a device that was not configured."""

    def map(
        self, function: Callable[[T], R], tasks: Sequence[T], *, n_jobs: int = 1
    ) -> Iterator[R]:
        """Yield ``function(task)`` in the order of `tasks`."""


@dataclass(frozen=True, kw_only=True)
class BackendInfo:
    """One line of `list_backends`; `error` says why a backend isn't available."""

    name: str
    available: bool
    description: str
    type: BackendType
    error: str | None = None


#: The backends that this process registered, by name.
_added: dict[str, Backend] = {}


@dataclass(frozen=True)
class Registration:
    """A backend registered by `register_backend`; as a context manager, it ends with the block."""

    backend: Backend

    def close(self) -> None:
        """Remove the backend; a second call has no effect."""
        if _added.get(self.backend.name) is self.backend:
            del _added[self.backend.name]

    def __enter__(self) -> Backend:
        """Return the backend."""
        return self.backend

    def __exit__(self, *_error: object) -> None:
        """Remove the backend."""
        self.close()


def register_backend(backend: Backend) -> Registration:
    """Make `backend` available under its name, in this process.

    It takes precedence over a backend of the same name that an installed package offers through
    the entry-point group `GROUP`.

    Parameters
    ----------
    backend : Backend
        Any object that fits the protocol. It runs in the calling process, and decides itself
        where the tasks run.

    Returns
    -------
    Registration
        Its ``close`` removes the backend, and so does the end of a ``with`` block.

    Raises
    ------
    ValueError
        If a built-in or registered backend has that name.

    Examples
    --------
    >>> from pycwt_mod.backends import get_backend, register_backend
    >>> class Reversed:
    ...     name, description, type = "reversed", "the last task first", "cpu"
    ...
    ...     def is_available(self):
    ...         return True
    ...
    ...     def map(self, function, tasks, *, n_jobs=1):
    ...         return reversed([function(task) for task in reversed(tasks)])
    >>> with register_backend(Reversed()):
    ...     list(get_backend("reversed").map(abs, [-1, -2]))
    [1, 2]
    """
    if any(each.name == backend.name for each in _in_process()):
        raise ValueError(f"backend={backend.name!r} is already registered; use another name")
    _added[backend.name] = backend
    return Registration(backend)


def list_backends() -> tuple[BackendInfo, ...]:
    """Return every backend: built-in, registered in this process, and offered by packages.

    Examples
    --------
    >>> [info.name for info in list_backends()][:2]
    ['sequential', 'joblib']
    """
    in_process = tuple(_info(backend) for backend in _in_process())
    return in_process + tuple(_offered(point) for point in _points())


def uses_n_jobs(backend: Backend) -> bool:
    """Return whether `n_jobs` has an effect on `backend`.

    A backend without it has the attribute ``uses_n_jobs = False``; the protocol doesn't require
    the attribute.
    """
    return bool(getattr(backend, "uses_n_jobs", True))


def backend_info(name: str) -> BackendInfo:
    """Return the line of `list_backends` about `name`, without a look at the others.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    for backend in _in_process():
        if backend.name == name:
            return _info(backend)
    for point in _points():
        if point.name == name:
            return _offered(point)
    raise ValueError(_unknown(name))


def get_backend(name: str) -> Backend:
    """Return the backend called `name`.

    Raises
    ------
    ValueError
        If there is none of that name, or its package can't be imported.
    """
    for backend in _in_process():
        if backend.name == name:
            return backend
    for point in _points():
        if point.name == name:
            try:
                return _load(point)
            except Exception as error:
                raise ValueError(f"cannot load backend={name!r}: {error}") from error
    raise ValueError(_unknown(name))


def _unknown(name: str) -> str:
    names = [backend.name for backend in _in_process()] + [point.name for point in _points()]
    return f"backend={name!r} must be one of {names}"


def _in_process() -> tuple[Backend, ...]:
    return (SequentialBackend(), JoblibBackend(), *_added.values())


def _points() -> tuple[EntryPoint, ...]:
    taken = {backend.name for backend in _in_process()}
    return tuple(point for point in _entry_points(_installed()) if point.name not in taken)


@lru_cache(maxsize=1)
def _entry_points(installed: tuple[tuple[str, int], ...]) -> tuple[EntryPoint, ...]:
    """Read what is registered, two milliseconds of many small files, once per state of the path."""
    del installed
    return tuple(entry_points(group=GROUP))


def _installed() -> tuple[tuple[str, int], ...]:
    """Return where packages are looked for, and when something was last installed there."""
    return tuple((folder, _changed_ns(folder)) for folder in sys.path)


def _changed_ns(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0


def _load(point: EntryPoint) -> Backend:
    factory = cast("Callable[[], Backend]", point.load())
    return factory()


def _info(backend: Backend) -> BackendInfo:
    available = backend.is_available()
    return BackendInfo(
        name=backend.name,
        available=available,
        description=backend.description,
        type=backend.type,
        error=None if available else "not available on this machine",
    )


def _offered(point: EntryPoint) -> BackendInfo:
    try:
        return _info(_load(point))
    except Exception as error:  # noqa: BLE001 - whatever a foreign package raises is its listing
        return BackendInfo(
            name=point.name,
            available=False,
            description=point.value,
            type="cpu",
            error=f"{type(error).__name__}: {error}",
        )


class SequentialBackend:
    """Runs every task in the calling thread; `n_jobs` has no effect."""

    name = "sequential"
    description = "one task after the other in the calling thread"
    type: Literal["cpu"] = "cpu"
    uses_n_jobs = False

    def is_available(self) -> bool:
        """Return True."""
        return True

    def map(
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        n_jobs: int = 1,  # noqa: ARG002
    ) -> Iterator[R]:
        """Yield ``function(task)`` in the order of `tasks`."""
        return map(function, tasks)


class JoblibBackend:
    """Runs tasks in `n_jobs` worker processes (-1: one per core)."""

    name = "joblib"
    description = "worker processes on this machine, by joblib"
    type: Literal["cpu"] = "cpu"

    def is_available(self) -> bool:
        """Return True: joblib is a dependency."""
        return True

    def map(
        self, function: Callable[[T], R], tasks: Sequence[T], *, n_jobs: int = 1
    ) -> Iterator[R]:
        """Yield ``function(task)`` in the order of `tasks`, as they finish."""
        pool = joblib.Parallel(n_jobs=n_jobs, return_as="generator")
        return iter(pool(joblib.delayed(function)(task) for task in tasks))
