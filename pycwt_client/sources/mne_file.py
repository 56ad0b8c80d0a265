"""Formats that MNE-Python reads: BrainVision, EEGLAB, FIF, GDF, CNT, EGI, Nihon Kohden and others.

MNE determines the format. ``mne:FILE`` also reads files with a suffix that this project reads in
another way, such as an EDF file that its own reader rejects.
"""

from __future__ import annotations

import warnings
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pycwt_client.signals import Samples, nanoseconds
from pycwt_client.sources.channels import channels_of, legal_names
from pycwt_client.sources.file_source import ChannelFileSource
from pycwt_client.sources.source import (
    Annotation,
    MissingDriverError,
    Recorded,
    SourceError,
    SourceInfo,
    at_rate,
    places_of,
)
from pycwt_client.sources.tables import TableOptions

if TYPE_CHECKING:
    from mne.io import BaseRaw

__all__ = ["MneSource"]

#: Formats of numbers, in MNE's terms, that are exact in float32 except for their scale.
EXACT_IN_FLOAT32 = {"short", "single"}
#: Usual units, and the factors from the SI units of MNE.
UNITS: dict[int, tuple[str, float]] = {107: ("uV", 1e6), 112: ("fT", 1e15), 201: ("fT/cm", 1e13)}
#: Annotations of intervals that were not recorded; MNE fills them with zeros.
SKIPPED = ("BAD_ACQ_SKIP",)
#: Warnings of MNE that are reported.
MAX_WARNINGS = 5


class MneSource(ChannelFileSource):
    """A recording that MNE reads: EEG in microvolts, MEG in femtotesla, others in units of MNE.

    Annotations of MNE become annotations; samples that a FIF file did not record are missing.

    Parameters
    ----------
    path
        The file, or the folder of a recording that is one. MNE finds the files that belong to it,
        which must be where the header says.
    channels
        Channels to read; None reads all.
    """

    def _read(self) -> Recorded:
        raw, messages = _opened(self._path)
        return _recorded(raw, self._path, self._channels, self._options, messages)


def _opened(path: Path) -> tuple[BaseRaw, tuple[str, ...]]:
    try:
        from mne.io import read_raw
    except ImportError:
        raise MissingDriverError(f"{path.name}", "mne") from None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            raw = read_raw(path, preload=False, verbose="WARNING")
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror or error}") from None
        except Exception as error:  # noqa: BLE001 - whatever its parsers meet in a broken file
            reason = " ".join(str(error).split()) or type(error).__name__
            raise SourceError(f"MNE cannot read {path}: {reason}") from None
    messages = dict.fromkeys(" ".join(str(each.message).split()) for each in caught)
    return raw, tuple(messages)[:MAX_WARNINGS]


def _recorded(
    raw: BaseRaw,
    path: Path,
    channels: tuple[str, ...] | None,
    options: TableOptions,
    messages: tuple[str, ...],
) -> Recorded:
    names = legal_names(raw.ch_names)
    places = places_of(names if channels is None else channels, names, path.name)
    units = [UNITS.get(int(raw.info["chs"][at]["unit"]), (None, 1.0)) for at in places]
    scales = np.array([scale for _, scale in units])
    fs_hz, n_samples = options.fs_hz or float(raw.info["sfreq"]), int(raw.n_times)
    if n_samples == 0 or not places:
        raise SourceError(f"{path} has no {'samples' if places else 'channels'}")
    marks, skipped = _annotations(raw)
    sample_type = "<f4" if raw.orig_format in EXACT_IN_FLOAT32 else "<f8"

    def read(start: int, stop: int) -> Samples:
        data: NDArray[np.float64] = raw.get_data(picks=places, start=start, stop=stop)
        samples = data.T * scales
        for first, last in skipped:
            samples[max(first - start, 0) : max(last - start, 0)] = np.nan
        converted: Samples = samples.astype(sample_type)
        return converted

    measured: Any = raw.info["meas_date"]
    t0_ns = None
    if measured is not None:
        t0_ns = nanoseconds(measured.astimezone(UTC)) + round(raw.first_time * 1e9)
    info = SourceInfo(
        name=path.name,
        channels=channels_of([raw.ch_names[at] for at in places], [unit for unit, _ in units]),
        fs_hz=fs_hz,
        n_samples=n_samples,
        t0_ns=t0_ns,
        annotations=at_rate(marks, float(raw.info["sfreq"]), fs_hz),
        warnings=messages,
    )
    return Recorded(info, read, chunk_s=options.chunk_s, t0_ns=t0_ns, close=raw.close)


def _annotations(raw: BaseRaw) -> tuple[tuple[Annotation, ...], list[tuple[int, int]]]:
    """Return the annotations, and the samples that were not recorded."""
    fs_hz = float(raw.info["sfreq"])
    # With a date, onsets are relative to the date; a FIF file may begin later.
    before_s = 0.0 if raw.annotations.orig_time is None else float(raw.first_time)
    marks, skipped = [], []
    for each in raw.annotations:
        onset_s, duration_s = float(each["onset"]) - before_s, float(each["duration"])
        if str(each["description"]).startswith(SKIPPED):
            first = round(onset_s * fs_hz)
            skipped.append((first, first + round(duration_s * fs_hz)))
        text = str(each["description"])
        marks.append(Annotation(onset_s=onset_s, duration_s=duration_s, text=text))
    return tuple(marks), skipped
