"""Importing the library is quick: every service and every worker process pays for it."""

from __future__ import annotations

import subprocess
import sys

#: Each of these takes longer to load than the library itself.
HEAVY = ("scipy.integrate", "scipy.optimize", "scipy.signal", "scipy.stats", "matplotlib")


def test_importing_the_library_does_not_load_large_parts_of_scipy() -> None:
    code = f"import sys, pycwt_mod; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
