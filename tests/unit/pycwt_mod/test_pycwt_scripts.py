"""Scripts written for pycwt run with nothing but their import changed."""

from __future__ import annotations

import shutil
import warnings
from importlib import metadata, resources
from pathlib import Path

import pytest

SAMPLES = Path(str(metadata.distribution("pycwt").locate_file("pycwt/sample")))


def run(script: str, name: str) -> dict[str, object]:
    """Run `script` without a screen, and return its names."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    names: dict[str, object] = {"__name__": "__main__"}
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.use("Agg")
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive", UserWarning)
        exec(compile(script, name, "exec"), names)
        plt.close("all")
    return names


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
