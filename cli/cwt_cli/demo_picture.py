"""The demo's picture: one panel of coherence for each pair."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cwt_cli.faults import CommandError
from cwt_cli.samples import SIGNALS, SOURCE
from cwt_runtime.installation import install_hint
from pycwt_client import Picture
from pycwt_mod.wavelets import Morlet

__all__ = ["check_matplotlib", "draw"]

CAPTION = f"""Wavelet coherence. {SIGNALS}
{SOURCE}
framed: above the 95 % level; arrow right: in phase, down: the first signal leads by 90 degrees
hatched: affected by the ends of the recording or by missing samples; line: cone of influence"""


def check_matplotlib() -> None:
    """Raise a `CommandError` if matplotlib is not usable."""
    if importlib.util.find_spec("matplotlib") is None:
        raise CommandError(f"drawing needs matplotlib: {install_hint('plot')}")


def draw(
    pictures: Mapping[tuple[str, ...], Picture], *, fs_hz: float, duration_s: float, path: Path
) -> None:
    """Write the picture of all pairs to `path`."""
    # Import here, because matplotlib is optional and slow to import.
    from matplotlib.figure import Figure

    from pycwt_mod.plot import plot_coherence

    figure = Figure(figsize=(11, 4.2 * len(pictures)), layout="constrained")
    axes = figure.subplots(len(pictures), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (channels, picture) in zip(axes, pictures.items(), strict=True):
        times_s = picture.samples / fs_hz
        plot_coherence(
            ax,
            times_s,
            picture.freqs_hz,
            picture.values,
            phase=picture.phase,
            signif=picture.signif,
            mask=picture.mask,
            coi_hz=coi_hz(times_s, duration_s),
        )
        ax.set_title(" with ".join(channels))
    figure.suptitle(CAPTION, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def coi_hz(times_s: np.ndarray, duration_s: float) -> np.ndarray:
    """Return the lowest frequency outside the cone of influence at each time, Hz.

    The e-folding time of the scale s is sqrt(2) s for Morlet (Torrence & Compo 1998, table 1), so
    at a distance d from an end the scales above d / sqrt(2) are in the cone.
    """
    wavelet = Morlet()
    distance = np.maximum(np.minimum(times_s, duration_s - times_s), 1e-3)
    return np.asarray(wavelet.efolding / (wavelet.fourier_factor * distance))
