"""Requests to a device on a serial port, over the bus, and its replies."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cwt_schemas.arrays import ComplexVector, IntegerMatrix, RealVector
from cwt_schemas.hardware import DeviceKind, DeviceState, HwOperation, Label
from cwt_schemas.message import (
    Count,
    Items,
    Message,
    Name,
    PositiveCount,
    PositiveReal,
    Text,
    wrong_field,
)
from cwt_schemas.query import Lag1, Seconds, Seed, WaveletChoice

__all__ = [
    "MAX_DEVICE_SAMPLES",
    "DeviceKind",
    "HwCancel",
    "HwCancelled",
    "HwCheck",
    "HwCwtReply",
    "HwCwtRequest",
    "HwFftReply",
    "HwFftRequest",
    "HwInfo",
    "HwInfoRequest",
    "HwMcReply",
    "HwMcRequest",
    "HwOctave",
    "HwOperation",
    "HwRequest",
    "HwResult",
    "HwSelftestReply",
    "HwSelftestRequest",
]

#: Samples of one request to a device: half an hour of transfer on the slowest line.
MAX_DEVICE_SAMPLES = 100_000
#: Rows of one octave in Monte Carlo, the limit of the link's specification.
MAX_DEVICE_ROWS = 12


class HwRequest(Message):
    """Arguments of every operation."""

    #: Deadline in seconds, including the wait for other operations.
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    #: A name chosen by the caller, for cancelling the operation.
    id: Name | None = None


class HwResult(Message):
    """Origin of a result."""

    device: Name
    kind: DeviceKind
    #: Identifies the gateware or program that computed the result.
    build_hash: Label
    #: Whether it ran in a simulator.
    simulated: bool
    #: Duration of the operation, including all transfers, without the wait for others.
    computation_time: Seconds


class HwInfoRequest(Message):
    """Request the state of a device."""


class HwInfo(Message):
    """State of a device."""

    device: Name
    kind: DeviceKind
    port: Label
    state: DeviceState
    build_hash: Label
    simulated: bool
    operations: Items[HwOperation]
    #: Rate of the serial line, baud.
    baud: PositiveCount
    clock_hz: PositiveCount | None = None
    #: Limits of requests to this device.
    limits: dict[str, Count]
    #: Number of waiting operations.
    queued: Count
    detail: Text = ""


class HwSelftestRequest(HwRequest):
    """Request a self-test: the device computes, and the bridge compares the results."""

    #: Seed of the numbers that the device computes with.
    seed: Annotated[int, Field(ge=1, le=2**32 - 1)] = 1


class HwCheck(Message):
    """One check of a self-test."""

    name: Label
    passed: bool
    detail: Text = ""


class HwSelftestReply(HwResult):
    """Result of a self-test."""

    passed: bool
    checks: Items[HwCheck]
    seed: Seed


class HwFftRequest(HwRequest):
    """Request a Fourier transform."""

    #: (time,); scaled so that the largest value fits into the 16 bits of the device.
    data: RealVector

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_length(len(self.data))
        return self


class HwFftReply(HwResult):
    """A Fourier transform, in the order of ``numpy.fft.fft``."""

    #: (frequency,)
    fft: ComplexVector
    #: (frequency, 2), the integers from the device, real and imaginary part.
    integers: IntegerMatrix
    #: Factor by which the integers were multiplied.
    scale: PositiveReal


class HwCwtRequest(HwRequest, WaveletChoice):
    """Request the wavelet transform of one signal, with each octave at its own rate."""

    #: (time,); scaled so that the largest value fits into the 16 bits of the device.
    data: RealVector
    #: Sampling interval in seconds.
    dt: PositiveReal
    #: Rows per octave; scales are 1 / voices octaves apart.
    voices: Annotated[int, Field(ge=1, le=MAX_DEVICE_ROWS)] = 4
    #: Smallest scale in seconds.
    s0: PositiveReal
    octaves: Annotated[int, Field(ge=1, le=16)] = 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_length(len(self.data))
        return self


class HwOctave(Message):
    """The rows of one octave: coefficient = `integers` times the row's `scale`."""

    #: (row,), in seconds and in Hz.
    scales: RealVector
    freqs: RealVector
    #: (row, 2 n), the integers from the device, alternating real and imaginary parts.
    integers: IntegerMatrix
    #: (row,)
    scale: RealVector
    #: Sample of the signal at the first column (may be before the first sample), and samples from
    #: one column to the next.
    first_sample: float
    step: PositiveCount


class HwCwtReply(HwResult):
    """A wavelet transform."""

    octaves: Items[HwOctave]
    #: Number of values that saturated; rows are wrong at such values.
    saturations: Count


class HwMcRequest(HwRequest, WaveletChoice):
    """Request the null distribution of coherence in one octave, simulated by the device."""

    #: Lag-1 coefficients of the two noises, per sample.
    al1: Lag1
    al2: Lag1
    #: Spacing of the scales in octaves.
    dj: Annotated[float, Field(gt=0, le=1)]
    #: Smallest scale, in samples.
    s0: PositiveReal
    rows: Annotated[int, Field(ge=1, le=MAX_DEVICE_ROWS)] = 1
    #: Number of rows below and above that the smoothing over scales includes; None: as many as it
    #: reaches.
    below: Annotated[int, Field(ge=0)] | None = None
    above: Annotated[int, Field(ge=0)] | None = None
    #: Number of surrogate pairs, each 64 times as long as the largest scale.
    pairs: Annotated[int, Field(ge=1, le=100_000)] = 10
    seed: Seed = 0


class HwMcReply(HwResult):
    """Histograms of R² in 256 equal bins from 0 to 1."""

    #: (row,), in samples.
    scales: RealVector
    #: (row, bin)
    histograms: IntegerMatrix
    saturations: Count
    seed: Seed


class HwCancel(Message):
    """Cancel an operation that is waiting or running."""

    id: Name


class HwCancelled(Message):
    """Reply to ``cancel``; the cancelled operation fails with ``conflict``."""

    id: Name
    was: Literal["queued", "running"]


def _check_length(samples: int) -> None:
    if samples > MAX_DEVICE_SAMPLES:
        raise wrong_field("data", f"{samples} samples exceed the limit of {MAX_DEVICE_SAMPLES}")
