"""The interface of device drivers: integer arithmetic, called in the port's thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.line import Line
from cwt_schemas.hardware import HwOperation
from cwt_schemas.hwplan import BankPlan, McPlan

__all__ = [
    "BankResult",
    "Check",
    "DeviceInfo",
    "Driver",
    "FftResult",
    "McResult",
    "SelftestResult",
]


@dataclass(frozen=True, kw_only=True)
class DeviceInfo:
    """Identity of a device, read when it is opened."""

    #: Identifies the gateware or program on the device.
    build_hash: str
    simulated: bool
    operations: frozenset[HwOperation]
    baud: int
    clock_hz: int | None = None
    #: Changes with every reset; None if the device has no such number.
    boot: int | None = None
    #: Limits on requests, by name.
    limits: Mapping[str, int] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check of a self-test."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class SelftestResult:
    """Outcome of a self-test, which passes if every check passes."""

    checks: tuple[Check, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class FftResult:
    """A Fourier transform: ``(values[k, 0] + 1j values[k, 1]) * 2**exponent``.

    `values` is of int32, shape (n, 2), in the order of ``numpy.fft.fft``.
    """

    values: npt.NDArray[np.int32]
    exponent: int


@dataclass(frozen=True, kw_only=True, eq=False)
class BankResult:
    """Outputs of a filter bank in the order of ``docs/hardware-link.md``; int16, shape (n, 2)."""

    outputs: npt.NDArray[np.int16]
    saturations: int


@dataclass(frozen=True, kw_only=True, eq=False)
class McResult:
    """Histograms of R² with 256 bins; uint32, shape (counted rows, 256)."""

    histograms: npt.NDArray[np.uint32]
    saturations: int


class Driver(Protocol):
    """Driver of one device; every method except the constructor runs in the port's thread.

    Guarantees: an operation returns or raises a `DeviceError` soon after its deadline expires or
    is cancelled, and the next operation can follow any error that does not break the line. The
    bridge starts one operation at a time, only after `open`, and only those in
    `DeviceInfo.operations`. ``docs/hardware-link.md`` specifies the arithmetic.
    """

    def open(self, line: Line, deadline: CancellableDeadline) -> DeviceInfo:
        """Identify the device on the line; also after a reset.

        Raises
        ------
        NoAnswerError, WrongDeviceError, LineLostError
            No device of this kind answers.
        """

    def probe(self, deadline: CancellableDeadline) -> DeviceInfo:
        """Query the state of the device, and return its current identity."""

    def selftest(self, seed: int, deadline: CancellableDeadline) -> SelftestResult:
        """Run the device's self-test, and compare the results with the integer model."""

    def fft(self, samples: npt.NDArray[np.int16], deadline: CancellableDeadline) -> FftResult:
        """Return the Fourier transform of `samples`, shape (n,).

        Raises
        ------
        UnsupportedRequestError
            The device does not support this number of samples.
        """

    def cwt(
        self, plan: BankPlan, samples: npt.NDArray[np.int16], deadline: CancellableDeadline
    ) -> BankResult:
        """Run `samples`, shape (n,), through a filter bank."""

    def mc(self, plan: McPlan, deadline: CancellableDeadline) -> McResult:
        """Simulate one octave of the null distribution of coherence."""

    def close(self) -> None:
        """Leave the device in a state in which it can be opened again; never raises."""
