"""Coverage counts every module, also one that no test imports."""

from __future__ import annotations

import tomllib
from pathlib import Path

from coverage.files import find_python_files

#: Its tests run without tracing.
UNTRACED = "gateware/cwt_gateware"


def test_coverage_counts_modules_that_no_test_imports(root: Path) -> None:
    """It searches no folder without an ``__init__.py``, such as those in ``services``."""
    tools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]
    counted = {
        Path(name)
        for folder in tools["coverage"]["run"]["source"]
        for name in find_python_files(str(root / folder), include_namespace_packages=False)
    }
    packages = tools["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert UNTRACED in packages
    modules = {
        path for name in packages if name != UNTRACED for path in (root / name).rglob("*.py")
    }
    assert modules - counted == set()
