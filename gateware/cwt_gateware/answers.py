"""Payloads of replies, except the words of the data path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cwt_gateware.identity import Identity
from cwt_gateware.layouts import pack
from cwt_schemas.hwlink import COEFFICIENTS, MAX_TAPS, MessageType
from cwt_schemas.hwlink_layouts import FirReply, HelloReply, Histogram, Status

__all__ = ["WORD_BYTES", "Picture", "own_answers"]

#: Bytes per word; replies consist of words.
WORD_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Signals for the state of the device, in addition to those of the data path."""

    boot_nonce: Any
    bad_frames: Any
    divisor: Any
    state: Any
    job: Any
    total: Any
    fetched: Any


def own_answers(
    identity: Identity, picture: Picture, datapath: Any, item: Any
) -> dict[MessageType, Any]:
    """Return the fixed-length parts of the payloads of replies.

    The end of `item` is the request of MC_HISTOGRAM, which its reply repeats.
    """
    hello = pack(
        HelloReply,
        boot_nonce=picture.boot_nonce,
        build_hash=identity.build_hash,
        clock_hz=identity.clock_hz,
        confirm_clocks=identity.confirm_clocks,
        features=int(identity.features),
        divisor=picture.divisor,
        lanes=identity.lanes,
        coefficients=COEFFICIENTS,
        taps=MAX_TAPS,
        coefficient_bits=16,
        sample_bits=16,
    )
    status = pack(
        Status,
        boot_nonce=picture.boot_nonce,
        state=picture.state,
        job=picture.job,
        bad_frames=picture.bad_frames,
        saturations=datapath.saturations,
        done=datapath.done,
        total=picture.total,
        outputs=datapath.made,
        signature=datapath.crc,
        sample_room=datapath.sample_room,
        outputs_ready=datapath.outputs_ready,
    )
    fir_reply = pack(FirReply, first=picture.fetched, sample_room=datapath.sample_room)
    return {
        MessageType.HELLO: hello,
        MessageType.STATUS: status,
        MessageType.FIR_IO: fir_reply,
        MessageType.MC_HISTOGRAM: item[-8 * Histogram.FORMAT.size :],
    }
