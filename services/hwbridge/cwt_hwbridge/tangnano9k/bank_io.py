"""Send samples to the filter bank within its free space, and receive the outputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from cwt_hwbridge.tangnano9k.link_client import Ask
from cwt_schemas.hwlink import OUTPUTS_PER_FRAME, SAMPLE_ROOM, SAMPLES_PER_FRAME, MessageType
from cwt_schemas.hwlink_layouts import FirIo, FirReply
from cwt_schemas.hwplan import BankPlan

__all__ = ["BankIo", "outputs_expected"]

_POSITIONS = 1 << 32
#: Formats of the layouts; objects with fields are too slow at a thousand requests per second.
_REQUEST, _REPLY = FirIo.FORMAT, FirReply.FORMAT
_REPLY_BYTES = FirReply.FORMAT.size + 4 * OUTPUTS_PER_FRAME


def outputs_expected(plan: BankPlan, samples: int) -> int:
    """Return the number of outputs of a filter bank for `samples` samples."""
    steps = [entry.step for place, entry in sorted(plan.table.filters) if place < plan.rows]
    return sum((samples >> octave) >> step for octave in range(plan.octaves) for step in steps)


class BankIo:
    """Requests to a running filter bank, and its outputs.

    A reply reports the free space before the requests that were sent since, so their samples are
    subtracted from it.
    """

    def __init__(self, plan: BankPlan, samples: npt.NDArray[np.int16], job: int) -> None:
        self._samples = samples.astype("<i2").tobytes()
        self._job = job
        self._sent = 0
        self._room = SAMPLE_ROOM
        self._under_way: deque[int] = deque()
        self._samples_out = 0
        self._pieces: list[bytes] = []
        self._received = 0
        self.total = outputs_expected(plan, len(samples))

    @property
    def done(self) -> int:
        """Number of received outputs."""
        return self._received

    @property
    def outputs(self) -> npt.NDArray[np.int16]:
        """The received outputs; shape (outputs, 2)."""
        return np.frombuffer(b"".join(self._pieces), "<i2").reshape(-1, 2).astype(np.int16)

    def requests(self) -> Iterator[Ask]:
        """Yield requests until all samples were sent and all outputs received."""
        count = len(self._samples) // 2
        while self._sent < count or self._received < self.total:
            free = self._room - self._samples_out
            now = min(SAMPLES_PER_FRAME, count - self._sent, max(free, 0))
            first = _REQUEST.pack(self._sent % _POSITIONS)
            piece = self._samples[2 * self._sent : 2 * (self._sent + now)]
            self._sent += now
            self._samples_out += now
            self._under_way.append(now)
            yield Ask(MessageType.FIR_IO, first + piece, self._job, _REPLY_BYTES)

    def take(self, reply: bytes) -> None:
        """Process the answer to the oldest request.

        Raises
        ------
        ValueError, struct.error
            The answer is not the expected one.
        """
        self._samples_out -= self._under_way.popleft()
        first, self._room, _ = _REPLY.unpack_from(reply)
        if (len(reply) - _REPLY.size) % 4:
            raise ValueError(f"{len(reply)} bytes are not a whole number of outputs")
        if first != self._received % _POSITIONS:
            raise ValueError(f"outputs from {first} on, {self._received} was expected")
        self._pieces.append(reply[_REPLY.size :])
        self._received += (len(reply) - _REPLY.size) // 4
