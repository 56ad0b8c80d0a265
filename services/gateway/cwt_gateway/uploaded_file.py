"""The file of an upload: its name, its bytes on their way to the disk, and its unpacking."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from cwt_schemas.errors import PayloadTooLarge, Unprocessable

__all__ = ["ending_of", "receive_file", "split_filename", "unpack"]

#: What is written to the disk at a time.
BLOCK_BYTES: Final = 1024 * 1024
#: The last endings of a file's name; they choose how it is read.
ENDING: Final = re.compile(r"(\.[A-Za-z0-9]{1,8}){1,2}$")
#: Name of an XDF file, and of the stream in it that is read.
XDF_STREAM: Final = re.compile(r"(.*\.(?:xdf|xdfz|xdf\.gz))#(.+)", re.IGNORECASE | re.DOTALL)
#: Endings of packed files, and of what is in them.
PACKED: Final = {".gz": "", ".xdfz": ".xdf"}


def split_filename(filename: str) -> tuple[str, str]:
    """Return the name of a file, and of the stream in it that is wanted."""
    match = XDF_STREAM.fullmatch(filename)
    return (match[1], match[2]) if match else (filename, "")


def ending_of(filename: str) -> str:
    """Return the endings that choose how a file is read."""
    match = ENDING.search(filename)
    return match[0].lower() if match else ""


async def receive_file(body: AsyncIterator[bytes], path: Path) -> str:
    """Write a body to a file, and return its SHA-256."""
    digest = hashlib.sha256()
    block = bytearray()

    def write() -> None:
        digest.update(block)
        file.write(block)
        block.clear()

    with await anyio.to_thread.run_sync(lambda: path.open("wb")) as file:
        async for part in body:
            block += part
            if len(block) >= BLOCK_BYTES:
                await anyio.to_thread.run_sync(write)
        await anyio.to_thread.run_sync(write)
    return digest.hexdigest()


def unpack(path: Path, max_bytes: int) -> Path:
    """Return the file, unpacked if it is packed.

    Raises
    ------
    PayloadTooLarge
        It has more than `max_bytes` unpacked.
    Unprocessable
        It is not a gzip file.
    """
    if path.suffix not in PACKED:
        return path
    unpacked = path.with_suffix(PACKED[path.suffix])
    size = 0
    try:
        with gzip.open(path) as packed, unpacked.open("wb") as file:
            while block := packed.read(BLOCK_BYTES):
                size += len(block)
                if size > max_bytes:
                    raise PayloadTooLarge(f"the recording has more than {max_bytes} bytes unpacked")
                file.write(block)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Unprocessable(f"the recording is not a complete gzip file: {error}") from None
    path.unlink()
    return unpacked
