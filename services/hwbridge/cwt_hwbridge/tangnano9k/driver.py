"""The driver of the Tang Nano 9K, which runs plans as requests on the link."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.driver import (
    BankResult,
    Check,
    DeviceInfo,
    FftResult,
    McResult,
    SelftestResult,
)
from cwt_hwbridge.errors import (
    DeviceError,
    LinkDownError,
    UnsupportedRequestError,
    parsing_answer,
)
from cwt_hwbridge.line import Line
from cwt_hwbridge.model import run_selftest
from cwt_hwbridge.protocol import LinkTiming
from cwt_hwbridge.tangnano9k.bank_io import BankIo
from cwt_hwbridge.tangnano9k.link_client import Ask, LinkClient
from cwt_hwbridge.tangnano9k.selftest_plan import SELFTEST_SAMPLES, selftest_plan
from cwt_schemas.hardware import HwOperation
from cwt_schemas.hwlink import (
    COEFFS_PER_FRAME,
    COUNTS_PER_FRAME,
    DEFAULT_BAUD,
    FILTERS_PER_FRAME,
    HISTOGRAM_BINS,
    MC_MAX_BINNED_ROWS,
    Feature,
    MessageType,
    State,
)
from cwt_schemas.hwlink_layouts import (
    FilterEntry,
    FirStart,
    HelloReply,
    Histogram,
    LoadCoeffs,
    LoadFilters,
    Selftest,
    Status,
)
from cwt_schemas.hwplan import BankPlan, FilterTable, McPlan

__all__ = ["RATES", "TangNanoDriver"]

#: Rates to try, the fastest first, baud; both divide 27 MHz exactly.
RATES = (3_000_000, 1_000_000)
#: Number of trial requests at a rate, and of retransmissions at which the rate is still accepted.
TRIAL_REQUESTS = 32
TRIAL_REPEATS = 1
#: Answer timeouts for a real device on USB, and for a simulated one.
MARGIN_S = 0.25
SIMULATED_MARGIN_S = 2.0
#: Time without progress after which a job is considered stuck.
STUCK_S = 30.0
FIRST_POLL_S = 0.002
LONGEST_POLL_S = 0.1
#: Timeout for closing a device.
CLOSE_S = 0.5

_OPERATIONS: dict[Feature, HwOperation] = {
    Feature.FIR: "cwt",
    Feature.SELFTEST: "selftest",
    Feature.MC: "mc",
}


class TangNanoDriver:
    """Implement `cwt_hwbridge.driver.Driver` for this project's gateware.

    Parameters
    ----------
    greeting_s
        Timeout of the answer to HELLO, including all retries.
    margin_s
        Timeout of any other answer, in addition to the transmission time.
    close_s
        Timeout for stopping a job or closing a device.
    """

    def __init__(
        self,
        greeting_s: float = LinkTiming.greeting_s,
        margin_s: float = MARGIN_S,
        close_s: float = CLOSE_S,
    ) -> None:
        self._greeting_s = greeting_s
        self._margin_s = margin_s
        self._close_s = close_s
        #: Whether the device may still run a job of an ended operation.
        self._owes_abort = False
        self._line: Line | None = None
        self._opened_client: LinkClient | None = None
        self._info: DeviceInfo | None = None

    def open(self, line: Line, deadline: CancellableDeadline) -> DeviceInfo:
        """Greet the device, stop its job, and find the fastest rate."""
        self._line = line
        if line.baud != DEFAULT_BAUD:
            line.set_baud(DEFAULT_BAUD)
        timing = LinkTiming(margin_s=self._margin_s, greeting_s=self._greeting_s)
        first = LinkClient(line, timing, seq=secrets.randbelow(1 << 16))
        hello = first.greet(deadline)
        if Feature.SIMULATED & hello.features:
            timing = replace(timing, margin_s=max(SIMULATED_MARGIN_S, self._margin_s))
        client = LinkClient(line, timing, seq=secrets.randbelow(1 << 16))
        hello = client.greet(deadline)
        self._opened_client = client
        self._abort(deadline)
        if Feature.BAUD & hello.features:
            self._find_rate(client, hello, deadline)
        self._info = _info(hello, line.baud)
        return self._info

    def probe(self, deadline: CancellableDeadline) -> DeviceInfo:
        """Request STATUS, which shows whether the device was reset."""
        status = self._status(deadline)
        if self._info is None:
            raise LinkDownError("the device was not opened")
        self._info = DeviceInfo(
            build_hash=self._info.build_hash,
            simulated=self._info.simulated,
            operations=self._info.operations,
            baud=self._info.baud,
            clock_hz=self._info.clock_hz,
            boot=status.boot_nonce,
            limits=self._info.limits,
            detail=f"{status.bad_frames} frames could not be read since power-up, "
            f"{self._client.link.repeats} requests were repeated",
        )
        return self._info

    def selftest(self, seed: int, deadline: CancellableDeadline) -> SelftestResult:
        """Run the filter bank at full speed on generated samples, and compare the signature."""
        plan = selftest_plan()
        expected = run_selftest(plan, seed=seed, samples=SELFTEST_SAMPLES)
        request = Selftest(
            octaves=plan.octaves,
            rows=plan.rows,
            decimator=plan.decimator,
            seed=seed,
            samples=SELFTEST_SAMPLES,
        )
        with self._job(deadline) as job:
            self._load(plan.table, deadline)
            self._client.ask(Ask(MessageType.SELFTEST, request.pack(), job), deadline)
            status = self._finish(State.SELFTEST, job, deadline)
        checks = (
            _equal("signature of the outputs", status.signature, expected.signature),
            _equal("number of outputs", status.outputs, expected.outputs),
            _equal("limited numbers", status.saturations, expected.saturations),
        )
        return SelftestResult(checks=checks)

    def fft(self, samples: npt.NDArray[np.int16], deadline: CancellableDeadline) -> FftResult:
        """Raise `UnsupportedRequestError`: the gateware has no Fourier transform."""
        del samples, deadline
        raise UnsupportedRequestError("the gateware has no Fourier transform", "data")

    def cwt(
        self, plan: BankPlan, samples: npt.NDArray[np.int16], deadline: CancellableDeadline
    ) -> BankResult:
        """Run samples through the filter bank."""
        start = FirStart(octaves=plan.octaves, rows=plan.rows, decimator=plan.decimator)
        with self._job(deadline) as job:
            self._load(plan.table, deadline)
            self._client.ask(Ask(MessageType.FIR_START, start.pack(), job), deadline)
            bank = BankIo(plan, samples, job)
            for reply in self._client.stream(bank.requests(), deadline):
                with parsing_answer():
                    bank.take(reply)
                deadline.report(bank.done, bank.total)
            status = self._status(deadline)
        return BankResult(outputs=bank.outputs[: bank.total], saturations=status.saturations)

    def mc(self, plan: McPlan, deadline: CancellableDeadline) -> McResult:
        """Simulate one octave on the device; the line transfers only parameters and counts."""
        with self._job(deadline) as job:
            self._load(plan.table, deadline)
            self._client.ask(Ask(MessageType.MC_START, plan.start.pack(), job), deadline)
            status = self._finish(State.MC, job, deadline)
            counts = self._histograms(plan.start.count, job, deadline)
        return McResult(histograms=counts, saturations=status.saturations)

    def close(self) -> None:
        """Stop the job and return to the default rate, so that the device can be opened again."""
        client, self._opened_client = self._opened_client, None
        if client is None or self._line is None:
            return
        deadline = CancellableDeadline(self._close_s)
        try:
            client.settle(deadline)
            client.ask(Ask(MessageType.ABORT), deadline)
            hello = client.link.hello
            if hello is not None and self._line.baud != DEFAULT_BAUD:
                client.change_rate(round(hello.clock_hz / DEFAULT_BAUD), deadline)
        except DeviceError:
            pass  # the device is disconnected or stuck, which the next `open` will report

    # -- steps --------------------------------------------------------------------------------

    @property
    def _client(self) -> LinkClient:
        if self._opened_client is None:
            raise LinkDownError("the device is not open")
        return self._opened_client

    def _status(self, deadline: CancellableDeadline) -> Status:
        ask = Ask(MessageType.STATUS, reply_bytes=Status.FORMAT.size)
        reply = self._client.ask(ask, deadline)
        with parsing_answer():
            return Status.unpack(reply)

    def _load(self, table: FilterTable, deadline: CancellableDeadline) -> None:
        for _ in self._client.stream(_loading(table), deadline):
            pass

    def _finish(self, running: State, job: int, deadline: CancellableDeadline) -> Status:
        """Wait until a job is done; return its final status."""
        wait, moved, last = FIRST_POLL_S, time.monotonic(), -1
        while True:
            status = self._status(deadline)
            if status.job != job:
                raise LinkDownError("the device runs another job than the one it was given")
            deadline.report(status.done, status.total)
            if status.state != running:
                return status
            now = time.monotonic()
            if status.done != last:
                last, moved = status.done, now
            elif now - moved > STUCK_S:
                raise LinkDownError(f"the device made no progress for {STUCK_S:g} s")
            deadline.check()
            time.sleep(min(wait, max(deadline.left_s, 0.0)))
            wait = min(2 * wait, LONGEST_POLL_S)

    def _histograms(
        self, rows: int, job: int, deadline: CancellableDeadline
    ) -> npt.NDArray[np.uint32]:
        counts = np.zeros((rows, HISTOGRAM_BINS), np.uint32)
        for reply in self._client.stream(_reading(rows, job), deadline):
            with parsing_answer():
                part = Histogram.unpack(reply)
                values = np.frombuffer(reply, "<u4", offset=Histogram.FORMAT.size)
                counts[part.row, part.first : part.first + part.count] = values
        return counts

    @contextmanager
    def _job(self, deadline: CancellableDeadline) -> Iterator[int]:
        """Yield the number of a new job, and stop the job at the end, also after an error.

        If the device does not confirm the stop within `close_s`, the next job stops it first,
        since the device refuses another job until then.
        """
        if self._owes_abort:
            self._abort(deadline)
        self._owes_abort = True
        try:
            yield _new_job()
        finally:
            with suppress(DeviceError):  # the error of the operation is more informative
                self._abort(CancellableDeadline(self._close_s))

    def _abort(self, deadline: CancellableDeadline) -> None:
        self._client.ask(Ask(MessageType.ABORT), deadline)
        self._owes_abort = False

    def _find_rate(
        self, client: LinkClient, hello: HelloReply, deadline: CancellableDeadline
    ) -> None:
        """Change to the fastest rate with at most `TRIAL_REPEATS` retransmissions."""
        for rate in RATES:
            divisor = round(hello.clock_hz / rate)
            if not divisor:
                continue  # the device's clock is too slow for this rate
            if client.change_rate(divisor, deadline) != divisor:
                continue
            before = client.link.repeats
            trial = [Ask(MessageType.STATUS, reply_bytes=Status.FORMAT.size)] * TRIAL_REQUESTS
            for _ in client.stream(trial, deadline):
                pass
            if client.link.repeats - before <= TRIAL_REPEATS:
                return
            client.change_rate(hello.divisor, deadline)


def _new_job() -> int:
    return 1 + secrets.randbelow((1 << 16) - 1)


def _info(hello: HelloReply, baud: int) -> DeviceInfo:
    features = Feature(hello.features)
    return DeviceInfo(
        build_hash=hello.build_hash.hex(),
        simulated=Feature.SIMULATED in features,
        operations=frozenset(op for feature, op in _OPERATIONS.items() if feature in features),
        baud=baud,
        clock_hz=hello.clock_hz,
        boot=hello.boot_nonce,
        limits={
            "lanes": hello.lanes,
            "coefficients": hello.coefficients,
            "taps": hello.taps,
            "mc_rows": MC_MAX_BINNED_ROWS,
        },
    )


def _loading(table: FilterTable) -> Iterator[Ask]:
    values = table.coefficients.astype("<i2")
    for first in range(0, len(values), COEFFS_PER_FRAME):
        head = LoadCoeffs(first=first).pack()
        piece = values[first : first + COEFFS_PER_FRAME]
        yield Ask(MessageType.LOAD_COEFFS, head + piece.tobytes())
    for place, run in table.runs():
        for at in range(0, len(run), FILTERS_PER_FRAME):
            part: tuple[FilterEntry, ...] = run[at : at + FILTERS_PER_FRAME]
            head = LoadFilters(first=place + at).pack()
            body = b"".join(entry.pack() for entry in part)
            yield Ask(MessageType.LOAD_FILTERS, head + body)


def _reading(rows: int, job: int) -> Iterator[Ask]:
    for row in range(rows):
        for first in range(0, HISTOGRAM_BINS, COUNTS_PER_FRAME):
            count = min(COUNTS_PER_FRAME, HISTOGRAM_BINS - first)
            histogram = Histogram(row=row, first=first, count=count)
            reply = Histogram.FORMAT.size + 4 * count
            yield Ask(MessageType.MC_HISTOGRAM, histogram.pack(), job, reply)


def _equal(name: str, actual: int, expected: int) -> Check:
    passed = actual == expected
    return Check(
        name=name,
        passed=passed,
        detail="as the integer model has it" if passed else f"{actual}, the model has {expected}",
    )
