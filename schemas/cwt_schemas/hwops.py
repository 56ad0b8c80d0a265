"""What a device on a serial port can be asked for over the bus, and what it answers."""

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

#: Samples of one request to a device: half an hour of the slowest line.
MAX_DEVICE_SAMPLES = 100_000
#: Rows of one octave that Monte Carlo bins; what the link's specification allows.
MAX_DEVICE_ROWS = 12


class HwRequest(Message):
    """What every operation takes."""

    #: Seconds until it is given up, waiting for its turn included.
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    #: A name of the caller's choice, by which the operation can be cancelled.
    id: Name | None = None


class HwResult(Message):
    """Where a result comes from; every result says it."""

    device: Name
    kind: DeviceKind
    #: Identifies the gateware or program that computed.
    build_hash: Label
    #: Whether that ran in a simulator.
    simulated: bool
    #: From the operation's turn to its end, all transfers included.
    computation_time: Seconds


class HwInfoRequest(Message):
    """Asks a device how it is."""


class HwInfo(Message):
    """How a device is."""

    device: Name
    kind: DeviceKind
    port: Label
    state: DeviceState
    build_hash: Label
    simulated: bool
    operations: Items[HwOperation]
    #: Of the serial line.
    baud: PositiveCount
    clock_hz: PositiveCount | None = None
    #: Sizes that requests are held to.
    limits: dict[str, Count]
    #: Operations that wait for their turn.
    queued: Count
    detail: Text = ""


class HwSelftestRequest(HwRequest):
    """Asks a device to compute on its own, and the bridge to compare."""

    #: Of the numbers that the device computes with.
    seed: Annotated[int, Field(ge=1, le=2**32 - 1)] = 1


class HwCheck(Message):
    """One thing that a self-test looked at."""

    name: Label
    passed: bool
    detail: Text = ""


class HwSelftestReply(HwResult):
    """What a self-test found."""

    passed: bool
    checks: Items[HwCheck]
    seed: Seed


class HwFftRequest(HwRequest):
    """Asks for a Fourier transform."""

    #: (time,); the device computes with 16 bits, so the largest value is scaled to fit.
    data: RealVector

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_length(len(self.data))
        return self


class HwFftReply(HwResult):
    """A Fourier transform, as ``numpy.fft.fft`` orders it."""

    #: (frequency,)
    fft: ComplexVector
    #: (frequency, 2): what the device answered, real and imaginary part.
    integers: IntegerMatrix
    #: What the integers were multiplied by.
    scale: PositiveReal


class HwCwtRequest(HwRequest, WaveletChoice):
    """Asks for the wavelet transform of one signal, each octave at a rate of its own."""

    #: (time,); the device computes with 16 bits, so the largest value is scaled to fit.
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
    #: (row, 2 n): real and imaginary parts in turn, as the device gave them.
    integers: IntegerMatrix
    #: (row,)
    scale: RealVector
    #: Sample of the signal that the first column belongs to (it may lie before the first one), and
    #: samples from one column to the next.
    first_sample: float
    step: PositiveCount


class HwCwtReply(HwResult):
    """A wavelet transform."""

    octaves: Items[HwOctave]
    #: Numbers that the device had to limit; with more than none, rows are wrong where it was.
    saturations: Count


class HwMcRequest(HwRequest, WaveletChoice):
    """Asks for the null distribution of coherence in one octave, simulated on the device."""

    #: AR(1) coefficients of the two noises, per sample.
    al1: Lag1
    al2: Lag1
    #: Distance of scales in octaves.
    dj: Annotated[float, Field(gt=0, le=1)]
    #: Smallest scale, in samples.
    s0: PositiveReal
    rows: Annotated[int, Field(ge=1, le=MAX_DEVICE_ROWS)] = 1
    #: Rows below and above them that there are, which the smoothing over scales sees; none given
    #: means as many as it reaches.
    below: Annotated[int, Field(ge=0)] | None = None
    above: Annotated[int, Field(ge=0)] | None = None
    #: Surrogate pairs: each is as long as 64 of the largest scale.
    pairs: Annotated[int, Field(ge=1, le=100_000)] = 10
    seed: Seed = 0


class HwMcReply(HwResult):
    """How often R² fell into each of 256 equal parts of 0 to 1."""

    #: (row,), in samples.
    scales: RealVector
    #: (row, bin)
    histograms: IntegerMatrix
    saturations: Count
    seed: Seed


class HwCancel(Message):
    """Asks to end an operation that waits or runs."""

    id: Name


class HwCancelled(Message):
    """What became of it: it ends with the error ``conflict``."""

    id: Name
    was: Literal["queued", "running"]


def _check_length(samples: int) -> None:
    if samples > MAX_DEVICE_SAMPLES:
        raise wrong_field("data", f"{samples} samples, {MAX_DEVICE_SAMPLES} are possible")
