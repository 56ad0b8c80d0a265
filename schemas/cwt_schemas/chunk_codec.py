"""Encoding and decoding of signal chunks, also as raw samples for microcontrollers."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from cwt_schemas import headers as header
from cwt_schemas.arrays import RAW_DTYPES
from cwt_schemas.codec import ContentType, Headers, content_type_of, decode, message_of, validated
from cwt_schemas.errors import BadRequest, Unprocessable
from cwt_schemas.limits import MAX_CHANNELS
from cwt_schemas.live import SignalChunk


def encode_raw_chunk(chunk: SignalChunk) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a chunk whose body consists of interleaved samples."""
    given = {header.FIRST_SAMPLE: chunk.first_sample, header.T0_NS: chunk.t0_ns}
    headers = {
        header.CONTENT_TYPE: ContentType.OCTETS.value,
        header.DTYPE: chunk.samples.dtype.str,
        header.EPOCH: chunk.epoch,
        **({header.CHANNELS: str(chunk.n_channels)} if chunk.n_samples else {}),
        **{name: str(value) for name, value in given.items() if value is not None},
        **({header.FINAL: "1"} if chunk.final else {}),
    }
    return headers, chunk.samples.tobytes()


def decode_raw_chunk(headers: Headers, body: bytes, channels: int) -> SignalChunk:
    """Return the chunk whose body has the samples: (time,), or (time, channel) for several."""
    if not 1 <= channels <= MAX_CHANNELS:
        raise Unprocessable.of({"channels": f"must be 1 to {MAX_CHANNELS}"})
    name = headers.get(header.DTYPE)
    if name not in RAW_DTYPES:
        allowed = ", ".join(RAW_DTYPES)
        raise Unprocessable.of({header.DTYPE: f"must be one of {allowed}"})
    dtype = np.dtype(name)
    sent = _header_int(headers, header.CHANNELS)
    if sent not in {None, channels} and body:
        raise Unprocessable.of({header.CHANNELS: f"{sent}, but the stream has {channels}"})
    step = dtype.itemsize * channels
    final = _header_flag(headers, header.FINAL)
    if len(body) % step or (len(body) == 0 and not final):
        problem = f"{len(body)} bytes, not a multiple of {step} ({channels} {name} per time step)"
        raise Unprocessable.of({"samples": problem})
    shape = (len(body) // step,) if channels == 1 else (len(body) // step, channels)
    tree = {
        "epoch": headers.get(header.EPOCH),
        "first_sample": _header_int(headers, header.FIRST_SAMPLE),
        "t0_ns": _header_int(headers, header.T0_NS),
        "samples": np.ndarray(shape, dtype=dtype, buffer=bytes(body)),
        "final": final,
    }
    return validated(SignalChunk, tree)


def decode_chunk(headers: Headers | None, body: bytes, channels: int) -> SignalChunk:
    """Return a chunk in any of the encodings, for a stream with this number of channels."""
    content_type = content_type_of(headers)
    if content_type is ContentType.OCTETS:
        return decode_raw_chunk(headers or {}, body, channels)
    try:
        chunk = decode(SignalChunk, body, content_type)
    except BadRequest:
        tree = _json_with_constants(body) if content_type is ContentType.JSON else None
        if tree is None:
            raise
        chunk = message_of(SignalChunk, tree)
    if chunk.n_samples:
        check_channels(chunk.samples, channels)
    return chunk


def _json_with_constants(body: bytes) -> dict[str, Any] | None:
    """Return an object in JSON that may contain the words NaN and Infinity, as Python writes it.

    The parser of the standard library would hold the interpreter's lock for 200 ms in a large body.
    With functions in Python for the numbers, other threads, such as the event loop, run in between.
    """
    try:
        tree = json.loads(body.decode(), parse_float=_float, parse_int=_int)
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) else None


def _float(text: str) -> float:
    return float(text)


def _int(text: str) -> int:
    return int(text)


def check_channels(samples: npt.NDArray[Any], channels: int) -> None:
    """Raise ``Unprocessable`` unless samples (time,) or (time, channel) have all `channels`."""
    shape = samples.shape
    found = 1 if samples.ndim == 1 else shape[1]
    if found == channels:
        return
    problem = f"shape {shape} has {_count(found)}, but the stream has {channels}"
    if samples.ndim == 2 and shape[0] == channels:
        problem += "; the axes are (time, channel), and these look transposed"
    elif samples.ndim == 1 and shape[0] == channels:
        problem += f"; one sample of each channel has shape {(1, channels)}"
    raise Unprocessable.of({"samples": problem})


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"


def _header_int(headers: Headers, name: str) -> int | None:
    given = headers.get(name)
    if given is None:
        return None
    if re.fullmatch("[0-9]{1,19}", given) is None:
        raise Unprocessable.of({name: "must be a non-negative integer"})
    return int(given)


def _header_flag(headers: Headers, name: str) -> bool:
    given = headers.get(name, "0")
    if given not in {"0", "1"}:
        raise Unprocessable.of({name: "must be 1 or 0"})
    return given == "1"
