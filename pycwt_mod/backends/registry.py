"""Where Monte Carlo tasks may run, and how to find out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

from pycwt_mod.backends.joblib_backend import JoblibBackend
from pycwt_mod.backends.sequential import SequentialBackend

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
        """Whether tasks can run now; never touches a device that nobody named."""

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


def list_backends() -> tuple[BackendInfo, ...]:
    """Return every backend that is built in or registered, usable or not.

    Examples
    --------
    >>> [info.name for info in list_backends()][:2]
    ['sequential', 'joblib']
    """
    built_in = tuple(_info(backend) for backend in _built_in())
    return built_in + tuple(_registered(point) for point in _points())


def backend_info(name: str) -> BackendInfo:
    """Return the line of `list_backends` about `name`, without a look at the others.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    for backend in _built_in():
        if backend.name == name:
            return _info(backend)
    for point in _points():
        if point.name == name:
            return _registered(point)
    raise ValueError(_unknown(name))


def get_backend(name: str) -> Backend:
    """Return the backend called `name`.

    Raises
    ------
    ValueError
        If there is none of that name, or its package can't be imported.
    """
    for backend in _built_in():
        if backend.name == name:
            return backend
    for point in _points():
        if point.name == name:
            try:
                return _load(point)
            except Exception as error:
                raise ValueError(f"backend={name!r} can't be loaded: {error}") from error
    raise ValueError(_unknown(name))


def _unknown(name: str) -> str:
    names = [backend.name for backend in _built_in()] + [point.name for point in _points()]
    return f"backend={name!r} must be one of {names}"


def _built_in() -> tuple[Backend, ...]:
    return (SequentialBackend(), JoblibBackend())


def _points() -> tuple[EntryPoint, ...]:
    taken = {backend.name for backend in _built_in()}
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


def _registered(point: EntryPoint) -> BackendInfo:
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
