"""What is built can be installed: the library with three packages, the system as an extra."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
BASE = ("numpy", "scipy", "joblib")

pytestmark = [pytest.mark.system, pytest.mark.slow]


def build(source: Path, kind: str, folder: Path) -> Path:
    """Build the wheel or sdist of `source` into `folder`."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from the sdist as an installer does it that finds no wheel."""
    sdist = build(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))
    unpacked = tmp_path_factory.mktemp("source")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return build(source, "wheel", tmp_path_factory.mktemp("wheel"))


def closure(names: Iterable[str]) -> set[str]:
    """Return the distributions, and all that they require."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            required = map(Requirement, distribution(name).requires or ())
            waiting += [each.name for each in required if each.marker is None]
    return found


@pytest.fixture(scope="module")
def library(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel and what the library needs."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in closure(BASE):
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or () if ".." not in file.parts}:
            (site / top).symlink_to(Path(str(installed.locate_file(top))))
    return folder / "bin" / "python"


def run(python: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run a line of Python away from the sources."""
    return subprocess.run(
        [python, "-c", code], cwd=python.parent, capture_output=True, text=True, check=False
    )


def test_the_library_works_with_numpy_scipy_and_joblib_alone(library: Path) -> None:
    done = run(
        library,
        "import numpy as np, pycwt_mod as pm, pycwt_mod.sample\n"
        "x, y = np.random.default_rng(1).standard_normal((2, 300))\n"
        "print(pm.wct(x, y, 1.0, mc_count=10, rng=1).coherence.shape, pm.sample.__name__)\n"
        "print([each.name for each in pm.list_backends() if each.available])\n",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['sequential', 'joblib']"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import pycwt_client", "import pycwt_client"),
        ("from cli.entry import main; main()", "run pycwt-mod"),
    ],
)
def test_what_needs_the_system_says_what_to_install(library: Path, code: str, what: str) -> None:
    done = run(library, code)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert f"cannot {what}: " in last
    assert last.endswith("is not installed; run pip install 'pycwt-mod[system]'")


def test_the_wheel_has_data_and_types_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names}
    assert "pycwt_mod/py.typed" in names
    assert any(name.startswith("pycwt_mod/sample/") and name.endswith(".dat") for name in names)
    assert not tops & {"tests", "benchmarks", "docs", "examples"}
