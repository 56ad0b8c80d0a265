"""What every kind of device can be asked, in whole numbers and by the port's thread alone."""

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
    """What a device said of itself when it was opened."""

    #: Identifies the gateware or program that runs on it.
    build_hash: str
    simulated: bool
    operations: frozenset[HwOperation]
    baud: int
    clock_hz: int | None = None
    #: Changes with every reset; None where the device has none.
    boot: int | None = None
    #: Sizes that requests are held to, by name.
    limits: Mapping[str, int] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that a self-test looked at."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class SelftestResult:
    """What a self-test looked at; it is passed when every check is."""

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
    """Outputs of a filter bank in the order of the link's specification; int16, shape (n, 2)."""

    outputs: npt.NDArray[np.int16]
    saturations: int


@dataclass(frozen=True, kw_only=True, eq=False)
class McResult:
    """How often R² fell into each of 256 bins; uint32, shape (counted rows, 256)."""

    histograms: npt.NDArray[np.uint32]
    saturations: int


class Driver(Protocol):
    """One kind of device on one line; every method but the constructor runs in the port's thread.

    Guarantees: an operation returns or raises a `DeviceError` soon after its deadline says so, and
    after any error that does not break the line the next operation can be asked for. The bridge
    asks for one operation at a time, only after `open`, and only for those in
    `DeviceInfo.operations`. What the arithmetic is, ``docs/hardware-link.md`` says.
    """

    def open(self, line: Line, deadline: CancellableDeadline) -> DeviceInfo:
        """Find out what is on the line; also after a reset.

        Raises
        ------
        NoAnswerError, WrongDeviceError, LineLostError
            There is no such device there.
        """

    def probe(self, deadline: CancellableDeadline) -> DeviceInfo:
        """Ask the device how it is, and return what it is now."""

    def selftest(self, seed: int, deadline: CancellableDeadline) -> SelftestResult:
        """Let the device compute on its own, and compare with the integer model."""

    def fft(self, samples: npt.NDArray[np.int16], deadline: CancellableDeadline) -> FftResult:
        """Return the Fourier transform of `samples`, shape (n,).

        Raises
        ------
        UnsupportedRequestError
            So many samples are not possible.
        """

    def cwt(
        self, plan: BankPlan, samples: npt.NDArray[np.int16], deadline: CancellableDeadline
    ) -> BankResult:
        """Run `samples`, shape (n,), through a filter bank."""

    def mc(self, plan: McPlan, deadline: CancellableDeadline) -> McResult:
        """Simulate one octave of the null distribution of coherence."""

    def close(self) -> None:
        """Leave the device so that the next one who opens it finds it usable; never raises."""
