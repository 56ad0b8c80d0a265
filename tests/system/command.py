"""The command ``pycwt-mod``, run to its end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping

from tests.deadlines import fail_after
from tests.processes import gone
from tests.system.template import start_module

__all__ = ["run"]

#: Computing the longest answer of a test, and drawing it.
END_S = 100.0


async def run(
    *arguments: str,
    code: int = 0,
    url: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run ``pycwt-mod`` to its end with these variables set, and return its output."""
    environment = {
        **os.environ,
        **({"CWT_NATS_URL": url} if url else {}),
        **(variables or {}),
    }
    with tempfile.TemporaryFile() as output:
        process = start_module("cwt_cli", *arguments, output=output, environment=environment)
        try:
            with fail_after(END_S):
                await gone(process.pid)
            process.wait()
        finally:
            process.kill()
        output.seek(0)
        text = output.read().decode()
    assert process.returncode == code, text
    assert "Traceback" not in text
    return text
