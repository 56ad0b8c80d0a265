"""``python -m tests.system.stuck_service``: a service whose work in a thread never ends."""

from __future__ import annotations

import gc
import sys
import threading

import anyio.to_thread

from cwt_runtime.process.lifecycle import Context, run_service
from cwt_runtime.settings import ServiceSettings


async def serve(context: Context, settings: ServiceSettings) -> None:
    """Say that work has begun, and how many objects are never collected; never end it."""
    del settings
    context.ready(exempt=gc.get_freeze_count())
    await anyio.to_thread.run_sync(threading.Event().wait)


if __name__ == "__main__":
    sys.exit(run_service("stuck", "never ends", ServiceSettings, serve))
