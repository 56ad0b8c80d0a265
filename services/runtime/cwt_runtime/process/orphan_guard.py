"""Run a command that does not outlive the process that started it.

``python -m cwt_runtime.process.orphan_guard COMMAND ...`` asks the kernel to send SIGTERM when
the parent ends for any reason, and then executes COMMAND. This works on Linux only
(PR_SET_PDEATHSIG); elsewhere it only executes COMMAND, and a parent killed with SIGKILL leaves it
running.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["guarded"]

#: From linux/prctl.h.
PR_SET_PDEATHSIG = 1


def guarded(command: list[str]) -> list[str]:
    """Return the command line that runs `command` under the guard."""
    return [sys.executable, "-m", __name__, str(os.getpid()), *command]


def die_with_parent(parent: int) -> None:
    """Make this process end when its parent process `parent` ends."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:
            sys.exit(0)  # the parent ended before the request to the kernel


def main() -> None:
    """Execute the command on the command line."""
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - becoming that command is the purpose


if __name__ == "__main__":
    main()
