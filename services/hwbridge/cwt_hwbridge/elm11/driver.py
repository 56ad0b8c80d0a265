"""The driver of an ELM11, which runs this project's Lua program from its prompt."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.driver import BankResult, DeviceInfo, FftResult, McResult, SelftestResult
from cwt_hwbridge.elm11.checks import fft_check, mc_check, number_check, trial_plan
from cwt_hwbridge.elm11.fourier import MAX_POINTS, MIN_POINTS, SCALE_BITS
from cwt_hwbridge.elm11.program import program
from cwt_hwbridge.elm11.repl_client import DEFAULT_PACE_S, ReplClient
from cwt_hwbridge.errors import ResetError, UnsupportedRequestError, parsing_answer
from cwt_hwbridge.line import Line
from cwt_hwbridge.model import McPass
from cwt_schemas.hwlink import HISTOGRAM_BINS
from cwt_schemas.hwlink_layouts import McStart
from cwt_schemas.hwops import HwOperation
from cwt_schemas.hwplan import BankPlan, McPlan

__all__ = ["Elm11Driver", "opening_s"]

OPERATIONS: Final[frozenset[HwOperation]] = frozenset({"selftest", "fft", "mc"})

#: Number of 16-bit values per line, in four hexadecimal digits each.
VALUES_PER_LINE = 40

#: Number of frequencies, and of counts, per reply.
POINTS_PER_REPLY = 32
COUNTS_PER_REPLY = 64

#: Timeout of a transform, a single computation at 66 MHz with floats in software.
FFT_S = 120.0

#: Timeout of a piece of a simulation; the first is a single sample of noise.
RUN_S = 30.0

#: Target duration of a piece of a simulation: long compared with its communication, and short
#: enough for quick cancellation.
PIECE_S = 1.0

#: Characters added to each piece of the program; time for a byte and its echo at 115,200 baud; time
#: to reach the prompt from any state of the device.
LINE_OVERHEAD = 40
BYTE_S = 2 * 10 / 115_200
SETTLE_S = 20.0

#: Largest number in a request, because the device has signed 32-bit integers.
_SIGNED_MAX = 2**31 - 1


def opening_s(pace_s: float) -> float:
    """Return the longest time to open the device, including the upload, seconds."""
    sent = sum(len(statement) + LINE_OVERHEAD for statement, _ in program().lines())
    return SETTLE_S + 2 * sent * (pace_s + BYTE_S)


class Elm11Driver:
    """Implement `cwt_hwbridge.driver.Driver` for the ELM11.

    Parameters
    ----------
    pace_s
        Pause after each sent byte; the manufacturer recommends 0.001 to 0.02. The twin needs none.
    clock
        Monotonic clock, seconds.
    """

    def __init__(
        self, pace_s: float = DEFAULT_PACE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pace_s = pace_s
        self._clock = clock
        self._client: ReplClient | None = None
        self._line: Line | None = None
        self._session = ""

    def open(self, line: Line, deadline: CancellableDeadline) -> DeviceInfo:
        """Reach the prompt, and upload the program unless the device has it already.

        An uploaded program gets a number, which it reports as `boot` from then on.
        """
        self._line = line
        self._client = client = ReplClient(line, self._pace_s, self._clock)
        client.settle(deadline)
        if not client.has(program(), deadline):
            client.upload(program(), deadline)
            client.request(f"hello {1 + secrets.randbelow(_SIGNED_MAX)}", deadline)
        self._session = ""
        return self.probe(deadline)

    def probe(self, deadline: CancellableDeadline) -> DeviceInfo:
        """Query the state of the program; raise `ResetError` if it was replaced."""
        client, line = self._opened()
        answer = client.request("hello", deadline)
        with parsing_answer():
            build, session, bits, simulated, used = answer.split()
            boot, integer_bits, used_kib = int(session), int(bits), int(used) // 1024
        self._session = self._session or session
        if (build, session) != (program().build, self._session):
            raise ResetError("the ELM11 was reset, and another client has loaded a program")
        about = client.request("about", deadline)
        return DeviceInfo(
            build_hash=build,
            simulated=simulated == "1",
            operations=OPERATIONS,
            baud=line.baud,
            boot=boot,
            limits={"fft_samples": MAX_POINTS, "integer_bits": integer_bits},
            detail=f"{about}; {used_kib} KiB in use",
        )

    def selftest(self, seed: int, deadline: CancellableDeadline) -> SelftestResult:
        """Check arithmetic, a transform and a simulation against the integer model."""
        client, _ = self._opened()
        samples = np.random.default_rng(seed).integers(-(2**15), 2**15, 256).astype(np.int16)
        plan = trial_plan(seed)
        return SelftestResult(
            checks=(
                number_check(client.request("numbers", deadline)),
                fft_check(samples, self.fft(samples, deadline)),
                mc_check(plan, self.mc(plan, deadline)),
            )
        )

    def fft(self, samples: npt.NDArray[np.int16], deadline: CancellableDeadline) -> FftResult:
        """Transform up to 8192 samples; their number must be a power of two."""
        n = len(samples)
        if not MIN_POINTS <= n <= MAX_POINTS or n & (n - 1):
            raise UnsupportedRequestError(
                f"{n} samples; the ELM11 transforms a power of two from {MIN_POINTS} to "
                f"{MAX_POINTS}",
                "samples",
            )
        client, _ = self._opened()
        client.request("new", deadline)
        self._put("x", samples, deadline)
        client.request(f"fft {n}", deadline, FFT_S)
        half = self._spectrum(n // 2 + 1, deadline)
        mirrored = half[-2:0:-1] * np.array([1, -1], np.int32)
        exponent = n.bit_length() - 1 - SCALE_BITS
        return FftResult(values=np.concatenate((half, mirrored)), exponent=exponent)

    def cwt(
        self, plan: BankPlan, samples: npt.NDArray[np.int16], deadline: CancellableDeadline
    ) -> BankResult:
        """Raise `UnsupportedRequestError`: a filter bank in Lua over this line is too slow."""
        del plan, samples, deadline
        raise UnsupportedRequestError("the ELM11 has no filter bank", "operation")

    def mc(self, plan: McPlan, deadline: CancellableDeadline) -> McResult:
        """Simulate one octave, in pieces of about a second."""
        _check(plan)
        client, _ = self._opened()
        client.request("new", deadline)
        self._put("c", plan.table.coefficients.reshape(-1), deadline)
        for place, entry in plan.table.filters:
            client.request(f"filter {place} {entry.start} {entry.length} {entry.shift}", deadline)
        client.request(f"mc {_numbers(plan.start)}", deadline)
        saturations = self._run(plan.start.instants, deadline)
        counts = [self._counts(row, deadline) for row in range(plan.start.count)]
        with parsing_answer():
            histograms = np.array(counts, np.uint32).reshape(plan.start.count, HISTOGRAM_BINS)
        return McResult(histograms=histograms, saturations=saturations)

    def close(self) -> None:
        """Do nothing: the device is at its prompt already."""
        self._client = self._line = None

    def _opened(self) -> tuple[ReplClient, Line]:
        if self._client is None or self._line is None:
            raise RuntimeError("the driver is not open")
        return self._client, self._line

    def _put(self, into: str, values: npt.NDArray[np.int16], deadline: CancellableDeadline) -> None:
        client, _ = self._opened()
        for first in range(0, len(values), VALUES_PER_LINE):
            piece = values[first : first + VALUES_PER_LINE]
            client.request(f"put {into} {first} :{piece.astype('>i2').tobytes().hex()}", deadline)
            deadline.report(min(first + VALUES_PER_LINE, len(values)), len(values))

    def _spectrum(self, points: int, deadline: CancellableDeadline) -> npt.NDArray[np.int32]:
        client, _ = self._opened()
        data = b""
        for first in range(0, points, POINTS_PER_REPLY):
            count = min(POINTS_PER_REPLY, points - first)
            piece = client.request(f"spectrum {first} {count}", deadline)
            with parsing_answer():
                data += bytes.fromhex(piece)
        with parsing_answer():
            return np.frombuffer(data, ">i4").astype(np.int32).reshape(points, 2)

    def _run(self, instants: int, deadline: CancellableDeadline) -> int:
        """Simulate until all instants are binned; return the count of saturated numbers."""
        client, _ = self._opened()
        samples = 1
        while True:
            began = self._clock()
            answer = client.request(f"run {samples}", deadline, RUN_S)
            with parsing_answer():
                done, saturations = map(int, answer.split())
            deadline.report(done, instants)
            if done == instants:
                return saturations
            took_s = self._clock() - began
            if took_s < PIECE_S / 2:
                samples *= 2
            elif took_s > 2 * PIECE_S:
                samples = max(1, samples // 2)

    def _counts(self, row: int, deadline: CancellableDeadline) -> list[int]:
        client, _ = self._opened()
        counts: list[int] = []
        for first in range(0, HISTOGRAM_BINS, COUNTS_PER_REPLY):
            reply = client.request(f"counts {row} {first} {COUNTS_PER_REPLY}", deadline)
            with parsing_answer():
                counts += [int(count, 16) for count in reply.split(",")]
        return counts


def _numbers(start: McStart) -> str:
    seed = struct.unpack("<4i", start.seed)
    rest = (
        start.warmup, start.instants, start.a1, start.a2, start.noise_shift, start.decimations,
        start.step, start.rows, start.first, start.count, start.product_shift, start.decimator,
        start.boxcar,
    )  # fmt: skip
    return " ".join(map(str, (*seed, *rest)))


def _check(plan: McPlan) -> None:
    """Reject requests that the model rejects, before sending anything."""
    try:
        McPass(plan)
    except ValueError as error:
        raise UnsupportedRequestError(f"cannot run this simulation: {error}", "plan") from error
    for name in ("warmup", "instants"):
        value = getattr(plan.start, name)
        if value > _SIGNED_MAX:
            raise UnsupportedRequestError(
                f"{name}={value} is more than the ELM11's integers hold", name
            )
