"""The file of an upload: its name, storing its body, and decompression."""

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

#: Size of the blocks written to the disk, bytes.
BLOCK_BYTES: Final = 1024 * 1024
#: The last suffixes of a file name, which determine its format.
ENDING: Final = re.compile(r"(\.[A-Za-z0-9]{1,8}){1,2}$")
#: Name of an XDF file, and of the stream in it to read.
XDF_STREAM: Final = re.compile(r"(.*\.(?:xdf|xdfz|xdf\.gz))#(.+)", re.IGNORECASE | re.DOTALL)
#: Suffixes of compressed files, and of their content.
PACKED: Final = {".gz": "", ".xdfz": ".xdf"}


def split_filename(filename: str) -> tuple[str, str]:
    """Return the name of a file, and of the selected stream in it."""
    match = XDF_STREAM.fullmatch(filename)
    return (match[1], match[2]) if match else (filename, "")


def ending_of(filename: str) -> str:
    """Return the suffixes that determine the format of a file."""
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
    """Return the file, decompressed if it is compressed.

    Raises
    ------
    PayloadTooLarge
        It exceeds `max_bytes` when decompressed.
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
                    raise PayloadTooLarge(
                        f"the recording has more than {max_bytes} bytes when decompressed"
                    )
                file.write(block)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Unprocessable(f"the recording is not a complete gzip file: {error}") from None
    path.unlink()
    return unpacked
