"""The driver of an ELM11: this project's Lua program, asked over the device's prompt."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.hwlink import HISTOGRAM_BINS
from schemas.hwlink_layouts import McStart
from schemas.hwops import HwOperation
from schemas.hwplan import BankPlan, McPlan
from services.hwbridge.driver import BankResult, DeviceInfo, FftResult, McResult, SelftestResult
from services.hwbridge.elm11.checks import fft_check, mc_check, number_check, trial_plan
from services.hwbridge.elm11.fourier import MAX_POINTS, MIN_POINTS, SCALE_BITS
from services.hwbridge.elm11.program import program
from services.hwbridge.elm11.talk import DEFAULT_PACE_S, Talk
from services.hwbridge.errors import ResetError, UnfitError, understood
from services.hwbridge.leash import Leash
from services.hwbridge.line import Line
from services.hwbridge.model import McPass

__all__ = ["Elm11Driver", "opening_s"]

OPERATIONS: Final[frozenset[HwOperation]] = frozenset({"selftest", "fft", "mc"})

#: 16-bit values that one line brings, in four hexadecimal digits each.
VALUES_PER_LINE = 40

#: Frequencies that one reply brings, and counts.
POINTS_PER_REPLY = 32
COUNTS_PER_REPLY = 64

#: Wait for a transform, which is done in one go on a processor of 66 MHz with floats in software.
FFT_S = 120.0

#: Wait for a piece of a simulation; the first is a single sample of noise.
RUN_S = 30.0

#: A piece of a simulation should take so long: long against the conversation about it, short
#: against the patience of somebody who calls it off.
PIECE_S = 1.0

#: Characters around a piece of the program; a byte there and its echo back, at 115,200 baud; and
#: for getting to the prompt from wherever the device is.
LINE_OVERHEAD = 40
BYTE_S = 2 * 10 / 115_200
SETTLE_S = 20.0

#: Numbers of the request that the device has as 32-bit integers with a sign.
_SIGNED_MAX = 2**31 - 1


def opening_s(pace_s: float) -> float:
    """Return how long opening may take, the program's way over the line included."""
    sent = sum(len(statement) + LINE_OVERHEAD for statement, _ in program().lines())
    return SETTLE_S + 2 * sent * (pace_s + BYTE_S)


class Elm11Driver:
    """A `services.hwbridge.driver.Driver` for the ELM11.

    Parameters
    ----------
    pace_s
        Wait after each byte that is sent; the maker advises 0.001 to 0.02. The twin needs none.
    clock
        Seconds that never go back.
    """

    def __init__(
        self, pace_s: float = DEFAULT_PACE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pace_s = pace_s
        self._clock = clock
        self._talk: Talk | None = None
        self._line: Line | None = None
        self._session = ""

    def open(self, line: Line, leash: Leash) -> DeviceInfo:
        """Get to the prompt, and send the program unless it is there already.

        A program that is sent gets a number, which is the `boot` that it answers from then on.
        """
        self._line = line
        self._talk = talk = Talk(line, self._pace_s, self._clock)
        talk.settle(leash)
        if not talk.has(program(), leash):
            talk.upload(program(), leash)
            talk.request(f"hello {1 + secrets.randbelow(_SIGNED_MAX)}", leash)
        self._session = ""
        return self.probe(leash)

    def probe(self, leash: Leash) -> DeviceInfo:
        """Ask the program how it is; `ResetError` when it is another than before."""
        talk, line = self._opened()
        said = talk.request("hello", leash)
        with understood():
            build, session, bits, simulated, used = said.split()
            boot, integer_bits, used_kib = int(session), int(bits), int(used) // 1024
        self._session = self._session or session
        if (build, session) != (program().build, self._session):
            raise ResetError("the ELM11 was reset, and somebody else has sent it a program")
        about = talk.request("about", leash)
        return DeviceInfo(
            build_hash=build,
            simulated=simulated == "1",
            operations=OPERATIONS,
            baud=line.baud,
            boot=boot,
            limits={"fft_samples": MAX_POINTS, "integer_bits": integer_bits},
            detail=f"{about}; {used_kib} KiB in use",
        )

    def selftest(self, seed: int, leash: Leash) -> SelftestResult:
        """Compare arithmetic, a transform and a simulation with the integer model."""
        talk, _ = self._opened()
        samples = np.random.default_rng(seed).integers(-(2**15), 2**15, 256).astype(np.int16)
        plan = trial_plan(seed)
        return SelftestResult(
            checks=(
                number_check(talk.request("numbers", leash)),
                fft_check(samples, self.fft(samples, leash)),
                mc_check(plan, self.mc(plan, leash)),
            )
        )

    def fft(self, samples: npt.NDArray[np.int16], leash: Leash) -> FftResult:
        """Transform up to 8192 samples; their number has to be a power of two."""
        n = len(samples)
        if not MIN_POINTS <= n <= MAX_POINTS or n & (n - 1):
            raise UnfitError(
                f"{n} samples; the ELM11 transforms a power of two from {MIN_POINTS} to "
                f"{MAX_POINTS}",
                "samples",
            )
        talk, _ = self._opened()
        talk.request("new", leash)
        self._put("x", samples, leash)
        talk.request(f"fft {n}", leash, FFT_S)
        half = self._spectrum(n // 2 + 1, leash)
        mirrored = half[-2:0:-1] * np.array([1, -1], np.int32)
        exponent = n.bit_length() - 1 - SCALE_BITS
        return FftResult(values=np.concatenate((half, mirrored)), exponent=exponent)

    def cwt(self, plan: BankPlan, samples: npt.NDArray[np.int16], leash: Leash) -> BankResult:
        """Refuse: a filter bank in Lua over this line would be of no use to anybody."""
        del plan, samples, leash
        raise UnfitError("the ELM11 has no filter bank", "operation")

    def mc(self, plan: McPlan, leash: Leash) -> McResult:
        """Simulate one octave, in pieces of about a second."""
        _check(plan)
        talk, _ = self._opened()
        talk.request("new", leash)
        self._put("c", plan.table.coefficients.reshape(-1), leash)
        for place, entry in plan.table.filters:
            talk.request(f"filter {place} {entry.start} {entry.length} {entry.shift}", leash)
        talk.request(f"mc {_numbers(plan.start)}", leash)
        saturations = self._run(plan.start.instants, leash)
        counts = [self._counts(row, leash) for row in range(plan.start.count)]
        with understood():
            histograms = np.array(counts, np.uint32).reshape(plan.start.count, HISTOGRAM_BINS)
        return McResult(histograms=histograms, saturations=saturations)

    def close(self) -> None:
        """Nothing to do: a prompt is what the next one wants to find."""
        self._talk = self._line = None

    def _opened(self) -> tuple[Talk, Line]:
        if self._talk is None or self._line is None:
            raise RuntimeError("the driver is not open")
        return self._talk, self._line

    def _put(self, into: str, values: npt.NDArray[np.int16], leash: Leash) -> None:
        talk, _ = self._opened()
        for first in range(0, len(values), VALUES_PER_LINE):
            piece = values[first : first + VALUES_PER_LINE]
            talk.request(f"put {into} {first} :{piece.astype('>i2').tobytes().hex()}", leash)
            leash.report(min(first + VALUES_PER_LINE, len(values)), len(values))

    def _spectrum(self, points: int, leash: Leash) -> npt.NDArray[np.int32]:
        talk, _ = self._opened()
        data = b""
        for first in range(0, points, POINTS_PER_REPLY):
            wanted = min(POINTS_PER_REPLY, points - first)
            piece = talk.request(f"spectrum {first} {wanted}", leash)
            with understood():
                data += bytes.fromhex(piece)
        with understood():
            return np.frombuffer(data, ">i4").astype(np.int32).reshape(points, 2)

    def _run(self, instants: int, leash: Leash) -> int:
        """Simulate until all instants are binned; return how many numbers had to be limited."""
        talk, _ = self._opened()
        samples = 1
        while True:
            began = self._clock()
            said = talk.request(f"run {samples}", leash, RUN_S)
            with understood():
                done, saturations = map(int, said.split())
            leash.report(done, instants)
            if done == instants:
                return saturations
            took_s = self._clock() - began
            if took_s < PIECE_S / 2:
                samples *= 2
            elif took_s > 2 * PIECE_S:
                samples = max(1, samples // 2)

    def _counts(self, row: int, leash: Leash) -> list[int]:
        talk, _ = self._opened()
        counts: list[int] = []
        for first in range(0, HISTOGRAM_BINS, COUNTS_PER_REPLY):
            reply = talk.request(f"counts {row} {first} {COUNTS_PER_REPLY}", leash)
            with understood():
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
    """Refuse what the model of the arithmetic refuses, before anything is sent."""
    try:
        McPass(plan)
    except ValueError as error:
        raise UnfitError(f"no such simulation: {error}", "plan") from error
    for name in ("warmup", "instants"):
        value = getattr(plan.start, name)
        if value > _SIGNED_MAX:
            raise UnfitError(f"{name}={value} is more than the ELM11's integers hold", name)
