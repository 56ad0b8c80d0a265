"""The command ``pycwt-mod``, and other programs, run to their ends."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping

from tests.deadlines import fail_after
from tests.processes import gone
from tests.template import start

__all__ = ["run", "run_program"]

#: Computing the longest answer of a test, and drawing it.
END_S = 100.0


async def run(
    *arguments: str,
    code: int = 0,
    url: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run ``pycwt-mod`` to its end with these variables set, and return its output."""
    own = {**({"CWT_NATS_URL": url} if url else {}), **(variables or {})}
    return await run_program("cwt_cli", *arguments, code=code, variables=own)


async def run_program(*argv: str, code: int = 0, variables: Mapping[str, str] | None = None) -> str:
    """Run a module, or a file that ends in ``.py``, to its end, and return its output."""
    environment = {**os.environ, **(variables or {})}
    with tempfile.TemporaryFile() as output:
        process = start(*argv, output=output, environment=environment)
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
