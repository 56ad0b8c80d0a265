"""Whole jobs as requests to the device, and their results."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cwt_schemas.hwlink import (
    COEFFS_PER_FRAME,
    COUNTS_PER_FRAME,
    FILTERS_PER_FRAME,
    HISTOGRAM_BINS,
    OUTPUTS_PER_FRAME,
    SAMPLES_PER_FRAME,
    MessageType,
    State,
)
from cwt_schemas.hwlink_layouts import (
    FirIo,
    FirReply,
    FirStart,
    Histogram,
    LoadCoeffs,
    LoadFilters,
    Selftest,
    Status,
)
from cwt_schemas.hwplan import BankPlan, FilterTable, McPlan
from tests.unit.gateware.host import Host


def asked(host: Host, kind: MessageType, payload: bytes = b"", job: int = 0) -> bytes:
    """A reply's payload; a refusal is a failure."""
    answer = host.request(kind, payload, job)
    assert isinstance(answer, bytes), answer
    return answer


def status(host: Host) -> Status:
    return Status.unpack(asked(host, MessageType.STATUS))


def finished(host: Host) -> Status:
    """Ask until the job has ended."""
    while (now := status(host)).state in {State.SELFTEST, State.MC}:
        pass
    return now


def load(host: Host, table: FilterTable) -> None:
    for first in range(0, len(table.coefficients), COEFFS_PER_FRAME):
        coefficients = table.coefficients[first : first + COEFFS_PER_FRAME]
        payload = LoadCoeffs(first=first).pack() + coefficients.astype("<i2").tobytes()
        asked(host, MessageType.LOAD_COEFFS, payload)
    for first, run in table.runs():
        for place in range(0, len(run), FILTERS_PER_FRAME):
            entries = b"".join(entry.pack() for entry in run[place : place + FILTERS_PER_FRAME])
            payload = LoadFilters(first=first + place).pack() + entries
            asked(host, MessageType.LOAD_FILTERS, payload)


def start_fir(host: Host, plan: BankPlan, job: int) -> None:
    start = FirStart(octaves=plan.octaves, rows=plan.rows, decimator=plan.decimator)
    asked(host, MessageType.FIR_START, start.pack(), job)


def fir(host: Host, samples: npt.NDArray[np.int16], count: int, job: int) -> npt.NDArray[np.int16]:
    """Feed all samples, and fetch `count` outputs; shape (count, 2)."""
    sent, room, outputs = 0, SAMPLES_PER_FRAME, b""
    while sent < len(samples) or len(outputs) < 4 * count:
        piece = samples[sent : sent + min(room, SAMPLES_PER_FRAME)]
        request = FirIo(first=sent).pack() + piece.astype("<i2").tobytes()
        payload = asked(host, MessageType.FIR_IO, request, job)
        reply = FirReply.unpack(payload)
        assert reply.first == len(outputs) // 4
        assert len(payload) <= FirReply.FORMAT.size + 4 * OUTPUTS_PER_FRAME
        outputs += payload[FirReply.FORMAT.size :]
        sent, room = sent + len(piece), reply.sample_room
    return np.frombuffer(outputs, "<i2").reshape(-1, 2)


def selftest(host: Host, plan: BankPlan, seed: int, samples: int, job: int) -> Status:
    request = Selftest(
        octaves=plan.octaves,
        rows=plan.rows,
        decimator=plan.decimator,
        seed=seed,
        samples=samples,
    )
    asked(host, MessageType.SELFTEST, request.pack(), job)
    return finished(host)


def monte_carlo(host: Host, plan: McPlan, job: int) -> Status:
    asked(host, MessageType.MC_START, plan.start.pack(), job)
    return finished(host)


def histograms(host: Host, rows: int, job: int) -> npt.NDArray[np.uint32]:
    """Counts, shape (rows, 256)."""
    counts = b""
    for row in range(rows):
        for first in range(0, HISTOGRAM_BINS, COUNTS_PER_FRAME):
            count = min(COUNTS_PER_FRAME, HISTOGRAM_BINS - first)
            request = Histogram(row=row, first=first, count=count).pack()
            payload = asked(host, MessageType.MC_HISTOGRAM, request, job)
            assert payload[: Histogram.FORMAT.size] == request
            counts += payload[Histogram.FORMAT.size :]
    return np.frombuffer(counts, "<u4").reshape(rows, HISTOGRAM_BINS)
