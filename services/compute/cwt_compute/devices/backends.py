"""The backends `tangnano9k` and `elm11`: Monte Carlo simulation on a device of the bridge.

A device uses a different random generator from the library's, and 16-bit arithmetic. Its histograms
are therefore a different sample of the same distribution; `docs/hardware.md` states the deviation
of its thresholds. Its results are reproducible bit for bit, because the seed of a task determines
the seed on the device.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from cwt_compute.cluster.shares import wavelet_name
from cwt_compute.devices.operation import simulate
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_runtime.rpc.context import SyncBus, request_context
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.errors import ContractError, ErrorBody, Unavailable
from cwt_schemas.hardware import DeviceKind, HwList, HwListing
from cwt_schemas.headers import CONTENT_TYPE, SERVICE_ERROR
from cwt_schemas.hwlink import HISTOGRAM_BINS
from cwt_schemas.hwops import MAX_DEVICE_ROWS, HwMcRequest
from pycwt_mod.significance.surrogates import BINS, SurrogateTask, run_task

__all__ = ["Elm11Backend", "TangNanoBackend", "requests_of", "spread"]

T = TypeVar("T")
R = TypeVar("R")

#: The bridge lists devices without communicating with them.
LIST_TIMEOUT_S = 2.0
#: Time limit of one task, including the wait for the device.
TASK_TIMEOUT_S = 600.0

_USABLE = frozenset({"ready", "busy"})


class _DeviceBackend:
    """Run simulations of the library on the first usable device of a kind."""

    name: ClassVar[DeviceKind]
    description: ClassVar[str]
    type: Literal["hardware"] = "hardware"
    uses_n_jobs = False

    def is_available(self) -> bool:
        """Return whether the bridge has a usable device of this kind, without contacting it."""
        bus = request_context().bus
        return bus is not None and self._device(bus) is not None

    def map(
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        n_jobs: int = 1,  # noqa: ARG002 - a device runs one operation at a time
    ) -> Iterator[R]:
        """Yield ``function(task)``, sampled by a device, in the order of `tasks`.

        Raises
        ------
        ValueError
            There is no bus, or `function` is not the library's simulation.
        ContractError
            The bridge refused the operation, or it failed.
        """
        bus = request_context().bus
        if bus is None:
            raise ValueError(f"backend={self.name!r} needs a compute worker: send a query or a job")
        if function is not cast("object", run_task):
            raise ValueError(f"backend={self.name!r} runs only simulations of the library")
        device = self._device(bus)
        if device is None:
            raise Unavailable(f"the bridge has no working {self.name} at the moment")
        surrogate_tasks = cast("Sequence[SurrogateTask]", tasks)
        if any(task.rows.statistic != "coherence" for task in surrogate_tasks):
            raise ValueError(f"backend={self.name!r} simulates only coherence of two signals")
        histograms = (_histograms(bus, device, task) for task in surrogate_tasks)
        return cast("Iterator[R]", histograms)

    def _device(self, bus: SyncBus) -> str | None:
        try:
            listing = bus.run(_listing, bus.bus)
        except (BusError, ContractError):
            return None
        usable = [
            each
            for each in listing.configured
            if each.kind == self.name and each.state in _USABLE and "mc" in each.operations
        ]
        return min(usable, key=lambda each: each.state != "ready").device if usable else None


class TangNanoBackend(_DeviceBackend):
    """The Tang Nano 9K with this project's gateware."""

    name = "tangnano9k"
    description = "a Tang Nano 9K on the hardware bridge; 16-bit arithmetic, another sample"


class Elm11Backend(_DeviceBackend):
    """The ELM11 with this project's program."""

    name = "elm11"
    description = "an ELM11 on the hardware bridge; 16-bit arithmetic, another sample, slow"


def requests_of(task: SurrogateTask) -> tuple[HwMcRequest, ...]:
    """Return the device requests for a task, each with as many of its rows as a device supports.

    A device simulates an endless record, so it has no cone of influence to exclude. Where the ends
    of a record matter, at the length of the user's signals, the worker simulates instead.

    Raises
    ------
    ValueError
        The wavelet has no name in messages.
    """
    rows = task.rows
    name, param = wavelet_name(rows.wavelet)
    scales, (low, high) = rows.scales, rows.keep
    steps = len(scales) - 1
    dj = round(math.log2(scales[-1] / scales[0]) / steps, 12) if steps else 1.0
    return tuple(
        HwMcRequest(
            mother=name,
            param=param,
            convention="standard" if rows.centred else "pycwt",
            al1=rows.al1,
            al2=rows.al2,
            dj=dj,
            s0=scales[first],
            rows=min(MAX_DEVICE_ROWS, high - first),
            below=first,
            above=max(0, len(scales) - first - MAX_DEVICE_ROWS),
            pairs=task.pairs,
            seed=_seed(task, first),
            timeout_s=TASK_TIMEOUT_S,
        )
        for first in range(low, high, MAX_DEVICE_ROWS)
    )


def spread(histograms: NDArray[np.integer]) -> NDArray[np.int64]:
    """Distribute the counts of the device's bins over the finer bins of the library."""
    cumulative = np.concatenate(
        [np.zeros((len(histograms), 1)), histograms.cumsum(axis=1, dtype=np.float64)], axis=1
    )
    coarse, fine = np.linspace(0, 1, HISTOGRAM_BINS + 1), np.linspace(0, 1, BINS + 1)
    edges = np.array([np.interp(fine, coarse, row) for row in cumulative])
    counts: NDArray[np.int64] = np.diff(np.rint(edges).astype(np.int64), axis=1)
    return counts


def _histograms(bus: SyncBus, device: str, task: SurrogateTask) -> NDArray[np.int64]:
    """Return the histograms of a task; this worker computes it if the record's ends matter."""
    return run_task(task) if task.rows.exact_ends else _run(bus, device, task)


def _run(bus: SyncBus, device: str, task: SurrogateTask) -> NDArray[np.int64]:
    replies = [bus.run(simulate, bus.bus, device, request) for request in requests_of(task)]
    return spread(np.concatenate([reply.histograms for reply in replies]))


def _seed(task: SurrogateTask, first: int) -> int:
    words = f"{task.entropy}/{task.spawn_key}/{first}".encode()
    return int.from_bytes(hashlib.sha256(words).digest()[:8], "little") >> 1


async def _listing(bus: Bus) -> HwListing:
    answer = await bus.request(
        subjects.HW_LIST,
        encode(HwList(), ContentType.JSON),
        {CONTENT_TYPE: ContentType.JSON.value},
        timeout_s=LIST_TIMEOUT_S,
    )
    kind = content_type_of(answer.headers)
    if SERVICE_ERROR in answer.headers:
        raise decode(ErrorBody, answer.data, kind).exception()
    return decode(HwListing, answer.data, kind)
