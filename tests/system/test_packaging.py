"""What is built can be installed: the library with three packages, the system as an extra."""

from __future__ import annotations

import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from packaging.requirements import Requirement

from cwt_gateware.identity import build_hash
from cwt_runtime.installation import install_hint
from cwt_runtime.process.embedded_server import server_binary
from cwt_schemas import subjects
from cwt_schemas.service import HealthReply, HealthRequest
from pycwt_client import connect
from tests.deadlines import fail_after
from tests.servers import free_port
from tests.system.conftest import POLL_S, START_S

ROOT = Path(__file__).parents[2]
BASE = ("numpy", "scipy", "joblib")
#: What ``python -m`` does.
AS_A_SERVICE = "import runpy; runpy.run_module('{}', run_name='__main__')"

pytestmark = [pytest.mark.anyio, pytest.mark.system, pytest.mark.slow]


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
        # Python 3.11.0 to 3.11.3 have no filters.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(unpacked)
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
            waiting += requirements(name)
    return found


def requirements(name: str, extra: str = "") -> list[str]:
    """Return the distributions that `name` requires, with those of an extra."""
    required = map(Requirement, distribution(name).requires or ())
    return [
        each.name
        for each in required
        if each.marker is None or each.marker.evaluate({"extra": extra})
    ]


def environment(wheel: Path, folder: Path, names: Iterable[str]) -> Path:
    """Make an environment that has the wheel and `names`; return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in closure(names):
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            if not (site / top).is_symlink():  # two spellings of one distribution
                (site / top).symlink_to(Path(str(installed.locate_file(top))))
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def library(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel and what the library needs."""
    return environment(wheel, tmp_path_factory.mktemp("library"), BASE)


@pytest.fixture(scope="module")
def system(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel and what the system needs."""
    folder = tmp_path_factory.mktemp("system")
    return environment(wheel, folder, requirements("pycwt-mod", "system"))


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
    ("code", "what", "extra"),
    [
        ("import pycwt_client", "import pycwt_client", "system"),
        ("from cwt_cli.entry import main; main()", "run pycwt-mod", "system"),
        # A service ended in a traceback.
        (AS_A_SERVICE.format("cwt_compute"), "run cwt_compute", "system"),
        (AS_A_SERVICE.format("cwt_hwbridge"), "run cwt_hwbridge", "system"),
        (AS_A_SERVICE.format("cwt_ingest"), "run cwt_ingest", "system"),
        (AS_A_SERVICE.format("cwt_gateway"), "run cwt_gateway", "gateway"),
    ],
)
def test_what_needs_an_extra_says_what_to_install(
    library: Path, code: str, what: str, extra: str
) -> None:
    done = run(library, code)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert f"cannot {what}: " in last
    assert last.endswith(f"is not installed; {install_hint(extra)}")


def test_the_wheel_has_data_and_types_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names}
    assert "pycwt_mod/py.typed" in names
    assert any(name.startswith("pycwt_mod/sample/") and name.endswith(".dat") for name in names)
    assert not tops & {"tests", "benchmarks", "docs", "examples"}


def test_the_wheel_has_the_page_built_and_not_its_sources(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"live.html", "live.css", "live.js"} <= {
        name.removeprefix("cwt_gateway/static/") for name in names
    }
    assert not [name for name in names if name.endswith(".ts") or "node_modules" in name]


def test_every_name_in_site_packages_is_of_this_project(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {each for each in tops if not each.startswith(("pycwt_", "cwt_"))} == set()


def test_the_wheel_names_a_build_of_the_gateware_as_the_checkout_does(system: Path) -> None:
    """The hash named no sources in a wheel, and a changed design ran as the compiled old one."""
    done = run(
        system, "from cwt_gateware.identity import build_hash; print(build_hash({'a': '1'}).hex())"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [build_hash({"a": "1"}).hex()]


async def test_the_system_runs_in_a_folder_with_packages_of_the_same_names(
    system: Path, tmp_path: Path
) -> None:
    """A web project has its own `schemas` and `services`, which Python finds first."""
    (system.parent / "nats-server").symlink_to(server_binary())
    project = tmp_path / "project"
    for name in ("schemas", "services", "cli", "gateware", "tests"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text("")
    code = "import pycwt_client, schemas; print(pycwt_client.__file__, schemas.__file__)"
    told = await anyio.run_process([str(system), "-c", code], cwd=project)
    assert str(project / "schemas") in told.stdout.decode()

    port, output = free_port(), tmp_path / "up.log"
    command = [str(system), "-m", "cwt_cli", "up", "--workers", "1", "--port", str(port)]
    with output.open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220
            [*command, "--data", str(tmp_path / "data")], cwd=project, stdout=log, stderr=log
        )
    try:
        with fail_after(START_S):
            while "nats req" not in output.read_text():
                assert process.poll() is None, output.read_text()
                await anyio.sleep(POLL_S)
        async with connect(f"nats://127.0.0.1:{port}") as client:
            health = await client.ask(subjects.query("health"), HealthRequest(), HealthReply)
        assert health.status == "ok"
        assert "pip install '.[gateway]'" in output.read_text()
        process.send_signal(signal.SIGINT)
        with fail_after(START_S):
            assert await anyio.to_thread.run_sync(process.wait) == 0
    finally:
        process.kill()
        process.wait()
