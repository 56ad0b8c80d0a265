"""Scripts written for pycwt run with nothing but their import changed."""

from __future__ import annotations

import re
import shutil
import warnings
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pycwt_mod as ours

SCRIPTS = Path(__file__).parents[2] / "data" / "pycwt_scripts"
SAMPLES = Path(str(metadata.distribution("pycwt").locate_file("pycwt/sample")))


def run(script: str, name: str) -> dict[str, Any]:
    """Run `script` without a screen, and return its names."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    names: dict[str, Any] = {"__name__": "__main__"}
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.use("Agg")
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive", UserWarning)
        # pycwt imports a SciPy namespace that is about to go.
        warnings.filterwarnings("ignore", "Please import `hermitenorm`", DeprecationWarning)
        exec(compile(script, name, "exec"), names)
        plt.close("all")
    return names


@pytest.mark.slow
@pytest.mark.parametrize("name", ["simple_sample.py", "sample.py", "sample_xwt.py"])
def test_the_samples_of_pycwt_itself_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("jao.dat", "jbaltic.dat"):
        shutil.copy(str(resources.files("pycwt_mod.sample").joinpath(file)), tmp_path)
    script = (SAMPLES / name).read_text(encoding="utf-8")
    for before, after in (
        ("import pycwt as", "import pycwt_mod as"),
        ("from pycwt.", "from pycwt_mod."),
        ("from dataset import", "from pycwt_mod.sample.dataset import"),
        ("http://paos.", f"{SAMPLES}/paos."),  # the file that its address stands for
        ("usetex = True", "usetex = False"),  # no TeX is needed to run tests
    ):
        script = script.replace(before, after)
    run(script, name)


@pytest.mark.parametrize("name", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_public_uses_of_pycwt_run_and_find_the_same(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    expected = run(script, name)["answer"]
    capsys.readouterr()

    found = run(re.sub(r"\bpycwt\b", "pycwt_mod", script), name)["answer"]

    assert found.keys() == expected.keys()
    # The conventions treat the mean and the ends differently: a few per cent away from the ends.
    for what, values in expected.items():
        assert found[what] == pytest.approx(values, rel=0.05, abs=0.05 * np.abs(values).max())
    assert capsys.readouterr().out == ""


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).parents[3] / "examples" / "from_pycwt.py"
    names = run(example.read_text(encoding="utf-8"), example.name)
    assert capsys.readouterr().out.count("is significant") == 2
    # Its wavelet is that of the library where the correction vanishes.
    t = np.linspace(-4, 4, 81)
    assert names["CompleteMorlet"](6.0).psi(t) == pytest.approx(ours.Morlet(6).psi(t), abs=1e-7)
