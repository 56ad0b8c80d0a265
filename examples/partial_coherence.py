"""What blood pressure and ECG share once breathing is taken out, in the demo's recording.

Both carry the breathing rhythm, and the ECG the heart beat that drives the pressure. The coherence
of the two shows both rhythms; the partial coherence given the respiration keeps only the heart.
With a file name, the coherences are also drawn (needs matplotlib).

    python examples/partial_coherence.py [picture.png]
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import decimate

from pycwt_mod import MonteCarlo, MwctResult, WctResult, inside_cone, mwct, pwct, wct

RECORDING = Path(__file__).parents[1] / "cli/cwt_cli/recordings/physio_mimic037_125hz.csv.gz"
FS_HZ, EVERY = 125.0, 10
BANDS_HZ = {"breathing": (0.28, 0.42), "heart": (1.9, 2.3)}


def main() -> None:
    """Print the mean coherences in both bands, and draw them if a file name is given."""
    recording = np.genfromtxt(RECORDING, delimiter=",", skip_header=3)[: 240 * int(FS_HZ)]
    filled = np.where(np.isnan(recording), np.nanmean(recording, axis=0), recording)
    ecg, pressure, breath = decimate(filled, EVERY, ftype="fir", axis=0).T

    freqs = np.geomspace(0.1, 4, 64)
    settings: dict[str, Any] = {
        "dt": EVERY / FS_HZ,
        "freqs": freqs,
        "significance": MonteCarlo(count=100, seed=1),
    }
    results: dict[str, WctResult | MwctResult] = {
        "pressure with ECG": wct(pressure, ecg, **settings),
        "pressure with ECG, given respiration": pwct(pressure, ecg, breath, **settings),
        "pressure with ECG and respiration": mwct(pressure, [ecg, breath], **settings),
    }
    outside = ~inside_cone(freqs, results["pressure with ECG"].coi)
    for name, (low, high) in BANDS_HZ.items():
        band = outside & ((freqs >= low) & (freqs <= high))[:, None]
        for what, result in results.items():
            above = (result.coherence > result.signif[:, None])[band].mean()
            print(
                f"{name}: {what}: R² {result.coherence[band].mean():.2f}, {above:.0%} significant"
            )

    if len(sys.argv) > 1:
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(3, layout="constrained", figsize=(9, 9), sharex=True)
        for ax, (what, result) in zip(axes, results.items(), strict=True):
            result.plot(ax=ax)
            ax.set_title(what)
        figure.savefig(sys.argv[1], dpi=70)


if __name__ == "__main__":
    main()
