"""Draw pictures of answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cwt_cli.answer_text import Transform
from cwt_cli.demo_picture import check_matplotlib
from cwt_cli.faults import USAGE, CommandError
from pycwt_client import CwtAnswer, MwctAnswer, XwtAnswer

__all__ = ["check_picture", "draw_answer", "draw_level"]


def check_picture(path: Path) -> None:
    """Raise a `CommandError` if a picture cannot be written to `path`."""
    check_matplotlib()
    from matplotlib.backend_bases import FigureCanvasBase

    if path.suffix.removeprefix(".") not in FigureCanvasBase.get_supported_filetypes():
        raise CommandError(f"cannot draw {path}: the name must end in .png, .pdf or .svg", USAGE)
    path.parent.mkdir(parents=True, exist_ok=True)


def draw_answer(answer: Transform, names: tuple[str, ...], fs_hz: float, path: Path) -> None:
    """Write the picture to `path`; its suffix is the format."""
    # Import here, because matplotlib is optional and slow to import.
    from matplotlib.figure import Figure

    from pycwt_mod.plot import Options, plot_coherence, plot_cross, plot_scalogram

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    ax = figure.subplots()
    times_s = np.arange(len(answer.coi)) / fs_hz
    options: Options = {"coi_hz": 1 / np.maximum(answer.coi, 1e-300), "mask": answer.mask}
    if not isinstance(answer, CwtAnswer) and answer.signif.size == len(answer.freqs):
        options["signif"] = answer.signif
    match answer:
        case CwtAnswer():
            plot_scalogram(ax, times_s, answer.freqs, np.abs(answer.coefs) ** 2, **options)
        case XwtAnswer():
            plot_cross(ax, times_s, answer.freqs, answer.cross, **options)
        case MwctAnswer():
            plot_coherence(ax, times_s, answer.freqs, answer.coherence, **options)
        case _:
            plot_coherence(
                ax, times_s, answer.freqs, answer.coherence, phase=answer.phase, **options
            )
    ax.set_title(" with ".join(names))
    figure.savefig(path, dpi=110)


def draw_level(level: np.ndarray, freqs_hz: np.ndarray, names: tuple[str, ...], path: Path) -> None:
    """Plot significance levels over frequency to `path`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    ax = figure.subplots()
    ax.semilogx(freqs_hz, level)
    ax.set(xlabel="frequency (Hz)", ylabel="coherence", ylim=(0, 1), title=" with ".join(names))
    figure.savefig(path, dpi=110)
