"""The recording and the definition that ship with the command."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DEFINITION", "RECORDING", "SIGNALS", "SOURCE", "shown"]

FOLDER = Path(__file__).parent / "recordings"
RECORDING = FOLDER / "physio_mimic037_125hz.csv.gz"
DEFINITION = FOLDER / "icu.json"
#: Attribution, which the licence requires.
SOURCE = "MIMIC Database, record 037, PhysioNet, ODC-BY 1.0"

SIGNALS = "abp: arterial blood pressure; ecg: electrocardiogram; resp: respiration"


def shown(path: Path) -> str:
    """Return the shortest form of `path`, relative to the current directory if possible."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
