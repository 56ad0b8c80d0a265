"""A small disk that fills up, stalls, fails, and loses its power.

It is an ext4 file system in a file, over a loop device. A power cut is the kernel's own: the file
system is shut down without writing back its journal or any dirty page, so after the next mount it
contains only what had been synced, or had been written back by then. Needs root.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio

from tests.deadlines import fail_after
from tests.processes import POLL_S

__all__ = ["Disk", "disk", "why_no_disk"]

MEMORY = "/dev/shm"
SIZE_BYTES = 256 * 1024**2
#: From linux/fs.h and ext4.h.
_FREEZE, _THAW = 0xC0045877, 0xC0045878
_SHUT_DOWN, _WITHOUT_JOURNAL = 0x8004587D, struct.pack("I", 2)
#: The first failed access makes it read-only, as on most systems. The journal is committed only by
#: syncs: not by a timer as well.
_OPTIONS = "loop,errors=remount-ro,commit=300"
#: Of e2fsck: no errors, or errors that were corrected.
_SOUND = (0, 1)


def why_no_disk() -> str:
    """Return what this machine lacks for a disk of this kind, or an empty string."""
    if os.geteuid() != 0:
        return "disk faults need root"
    if not Path("/dev/loop-control").exists():
        return "disk faults need loop devices (/dev/loop-control)"
    for program in ("mkfs.ext4", "e2fsck", "mount", "umount"):
        if shutil.which(program) is None:
            return f"disk faults need the program {program}"
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        return "disk faults need the capability to mount (CAP_SYS_ADMIN)"
    return ""


class Disk:
    """A mounted file system. Methods for faults do not wait; `repair` ends all of them."""

    def __init__(self, image: Path, folder: Path) -> None:
        self._image = image
        self._folder = folder
        self._ballast = folder / "ballast"

    async def mount(self) -> None:
        await anyio.run_process(["mount", "-o", _OPTIONS, str(self._image), str(self._folder)])

    async def unmount(self) -> None:
        """Unmount; files that a process is about to close may still be open."""
        with fail_after(30):
            command = ["umount", str(self._folder)]
            while (await anyio.run_process(command, check=False)).returncode:
                if not os.path.ismount(self._folder):  # noqa: ASYNC240
                    return
                await anyio.sleep(POLL_S)

    async def repair(self) -> None:
        """Check the file system and mount it again; no process may use it."""
        await self.unmount()
        done = await anyio.run_process(["e2fsck", "-p", str(self._image)], check=False)
        assert done.returncode in _SOUND, done.stdout.decode()
        await self.mount()

    def fill(self) -> None:
        """Leave not one free block."""
        at, size = 0, SIZE_BYTES
        with self._ballast.open("wb") as file:
            while size >= 512:
                try:
                    os.posix_fallocate(file.fileno(), at, size)
                    at += size
                except OSError:
                    size //= 2

    def make_room(self) -> None:
        """End `fill`; without the sync, a power cut would bring the file back."""
        self._ballast.unlink()
        self.sync()

    def stall(self) -> None:
        """Make every write wait for `resume`."""
        self._control(_FREEZE, bytes(4))

    def resume(self) -> None:
        self._control(_THAW, bytes(4))

    def fail(self) -> None:
        """Report an error of the device to the file system, which becomes read-only.

        No sync may be in progress: ext4 of Linux 6.18 would report to it that data was stored which
        it then discards.
        """
        self.stall()
        (self._device_settings() / "trigger_fs_error").write_text("fault of a test")
        self.resume()

    def sync(self) -> None:
        """Write everything back."""
        self.stall()
        self.resume()

    def cut_power(self) -> None:
        """Lose everything that was not synced; every access fails from now on."""
        self._control(_SHUT_DOWN, _WITHOUT_JOURNAL)

    def _control(self, request: int, argument: bytes) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, request, argument)
        finally:
            os.close(descriptor)

    def _device_settings(self) -> Path:
        device = self._folder.stat().st_dev
        name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        return Path("/sys/fs/ext4") / name


@asynccontextmanager
async def disk(folder: Path) -> AsyncIterator[Disk]:
    """Mount a new disk on `folder` while the context is open.

    Its image is in memory where possible, so that a sync takes as long as on a fast disk.
    """
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as images:
        image = Path(images) / "disk.img"
        await anyio.run_process(["truncate", "-s", str(SIZE_BYTES), str(image)])
        await anyio.run_process(["mkfs.ext4", "-q", "-m", "0", str(image)])
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        mounted = Disk(image, folder)
        await mounted.mount()
        try:
            yield mounted
        finally:
            with anyio.CancelScope(shield=True):
                with suppress(OSError):
                    mounted.resume()
                await mounted.unmount()
