"""Boards supported by BrainFlow: OpenBCI, Muse, g.tec and others, and its synthetic board."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
from anyio import to_thread
from numpy.typing import NDArray

from pycwt_client.chunks import Piece
from pycwt_client.sources.channels import channels_of
from pycwt_client.sources.places import GAP_S, ByCounter, ByTime, Run, Stamps
from pycwt_client.sources.source import (
    LIVE_CHUNK_S,
    MissingDriverError,
    Signals,
    SourceError,
    SourceInfo,
)

if TYPE_CHECKING:
    from brainflow.board_shim import BoardShim

__all__ = ["BrainflowSource"]

#: Boards with one sample per packet and an 8-bit counter. For other boards, lost samples are
#: detected by time.
COUNTED = {"SYNTHETIC_BOARD", "CYTON_BOARD", "CYTON_WIFI_BOARD"}
MODULUS = 256
#: Kinds of channels to read: the first one that a board has.
KINDS = ("eeg_channels", "ecg_channels", "emg_channels", "eog_channels")


class BrainflowSource:
    """A board by its BrainFlow name, such as ``synthetic``, ``cyton`` or ``muse_s``.

    Provides its EEG, ECG, EMG or EOG channels in microvolts; times are the time stamps of
    BrainFlow, in UTC.

    Parameters
    ----------
    board
        A name of `brainflow.BoardIds`, in any case, with or without ``_BOARD`` at the end.
    parameters
        Fields of `brainflow.BrainFlowInputParams`, such as ``{"serial_port": "/dev/ttyUSB0"}``.
    chunk_s
        Duration of a piece, seconds.
    gap_s
        Longest interval of two samples that is jitter, seconds, for boards without a sample
        counter.
    fs_hz
        Sampling rate; overrides that of BrainFlow.
    """

    def __init__(
        self,
        board: str,
        parameters: Mapping[str, str] | None = None,
        *,
        chunk_s: float = LIVE_CHUNK_S,
        gap_s: float = GAP_S,
        fs_hz: float | None = None,
    ) -> None:
        self._board = board
        self._parameters = dict(parameters or {})
        self._chunk_s = chunk_s
        self._gap_s = gap_s
        self._fs_hz = fs_hz

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        """Connect to the board, and start the acquisition."""
        name, board = await to_thread.run_sync(_prepared, self._board, self._parameters)
        try:
            yield _Board(board, name, self._chunk_s, self._gap_s, self._fs_hz)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(board.release_session)


class _Board:
    def __init__(
        self, board: BoardShim, name: str, chunk_s: float, gap_s: float, fs_hz: float | None
    ) -> None:
        described: dict[str, Any] = board.get_board_descr(board.get_board_id())
        self._board = board
        self._chunk_s = chunk_s
        self._rows: list[int] = next((described[k] for k in KINDS if described.get(k)), [])
        if not self._rows:
            raise SourceError(f"{described['name']} has none of {', '.join(KINDS)}")
        self._time_row = described["timestamp_channel"]
        self._count_row = described["package_num_channel"]
        fs_hz = fs_hz or float(described["sampling_rate"])
        self._by_count = ByCounter(fs_hz, MODULUS) if name in COUNTED else None
        self._by_time = ByTime(fs_hz, gap_s)
        self._stamps = Stamps(fs_hz, gap_s)
        labels = str(described.get("eeg_names", "")).split(",")
        if len(labels) != len(self._rows):
            labels = [""] * len(self._rows)
        self._info = SourceInfo(
            name=str(described["name"]),
            channels=channels_of(labels, ["uV"] * len(self._rows)),
            fs_hz=fs_hz,
            n_samples=None,
        )

    @property
    def info(self) -> SourceInfo:
        return self._info

    async def __aiter__(self) -> AsyncIterator[Piece]:
        held: NDArray[np.float64] | None = None
        while True:
            data = await to_thread.run_sync(self._board.get_board_data)
            times_s = self._stamps.add(data[self._time_row])
            if held is not None:
                data = np.concatenate((held, data), axis=1)
            data, held = data[:, : len(times_s)], data[:, len(times_s) :]
            # Double precision preserves the 24 bits of an amplifier with an electrode offset.
            samples = np.ascontiguousarray(data[self._rows].T, dtype="<f8")
            for run in self._placed(data, times_s):
                yield Piece(
                    first_sample=run.first_sample,
                    t0_ns=round(float(times_s[run.start]) * 1e9),
                    samples=samples[run.start : run.stop],
                )
            await anyio.sleep(self._chunk_s)

    def _placed(self, data: NDArray[np.float64], times_s: NDArray[np.float64]) -> list[Run]:
        if self._by_count is not None:
            return self._by_count.place(data[self._count_row], times_s)
        return self._by_time.place(times_s)


def _prepared(board: str, parameters: dict[str, str]) -> tuple[str, BoardShim]:
    try:
        from brainflow.board_shim import BoardIds, BoardShim, BrainFlowInputParams
        from brainflow.exit_codes import BrainFlowError
    except ImportError:
        raise MissingDriverError("a BrainFlow board", "brainflow") from None
    plain = board.upper().replace("-", "_")
    name = next((each for each in (plain, f"{plain}_BOARD") if each in BoardIds.__members__), None)
    if name is None:
        known = ", ".join(
            sorted(each.removesuffix("_BOARD").lower() for each in BoardIds.__members__)
        )
        raise SourceError(f"{board} is not a BrainFlow board; the boards are {known}")
    inputs = BrainFlowInputParams()
    for field, value in parameters.items():
        if not hasattr(inputs, field):
            raise SourceError(
                f"{field} is not a board parameter; the parameters are {', '.join(vars(inputs))}"
            )
        setattr(inputs, field, type(getattr(inputs, field))(value))
    BoardShim.disable_board_logger()  # the logger writes to the terminal
    shim = BoardShim(BoardIds[name].value, inputs)
    try:
        shim.prepare_session()
        shim.start_stream()
    except BrainFlowError as error:
        if shim.is_prepared():
            shim.release_session()
        raise SourceError(f"cannot start the board {board}: {error}") from None
    return name, shim
