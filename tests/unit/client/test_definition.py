"""A definition made of a source and the analyses of it."""

from __future__ import annotations

import pytest

from cwt_ingest.lanes import plan_lanes
from cwt_schemas.errors import Unprocessable
from cwt_schemas.stream import Channel
from pycwt_client.definition import (
    Analyses,
    analyses_of_recording,
    derived_definition,
    difference,
)
from pycwt_client.sources import SourceInfo

INFO = SourceInfo(
    name="amplifier",
    channels=(Channel(name="c3", unit="uV"), Channel(name="c4", unit="uV")),
    fs_hz=250.0,
    n_samples=None,
)


def test_channels_rate_and_analyses_follow_the_source_and_the_wishes() -> None:
    analyses = Analyses(power=("c3", "c4"), coherence=(("c3", "c4"),), fmin_hz=2, fmax_hz=40)
    definition = derived_definition("eeg", INFO, analyses)
    assert (definition.fs_hz, definition.channels) == (250.0, INFO.channels)
    power, coherence = definition.analyses
    assert (power.op, power.channel_sets) == ("cwt", (("c3",), ("c4",)))
    assert (coherence.op, coherence.channel_sets) == ("wct", (("c3", "c4"),))
    assert coherence.significance is not None
    assert (coherence.fmin_hz, coherence.fmax_hz, coherence.hop_s) == (2, 40, 0.2)


def test_all_pairs_are_those_of_the_source_and_differ_from_listed_ones() -> None:
    every = derived_definition("eeg", INFO, Analyses(all_pairs=True, fmin_hz=2, fmax_hz=40))
    (spec,) = every.analyses
    assert (spec.pairs, spec.channels, spec.hop_s) == ("all", ("c3", "c4"), 0.8)
    listed = Analyses(coherence=(("c3", "c4"),), fmin_hz=2, fmax_hz=40)
    banded = spec.model_copy(update={"bands": ((4.0, 8.0), (8.0, 13.0))})
    told = difference(
        every.model_copy(update={"analyses": (banded,)}), derived_definition("eeg", INFO, listed)
    )
    assert told is not None
    assert "pairs=all and not c3,c4" in told
    assert "bands=4,8 8,13 and not" in told


def test_wishes_that_do_not_fit_the_source_are_refused_by_name() -> None:
    analyses = Analyses(power=("c5",), fmin_hz=2, fmax_hz=40)
    with pytest.raises(Unprocessable, match="no channel c5; its channels are c3, c4"):
        derived_definition("eeg", INFO, analyses)


def recording(fs_hz: float, n_samples: int, *names: str) -> SourceInfo:
    channels = tuple(Channel(name=name) for name in names or ("a", "b", "c"))
    return SourceInfo(name="file", channels=channels, fs_hz=fs_hz, n_samples=n_samples)


def test_a_recording_gets_the_coherence_of_its_first_two_channels() -> None:
    analyses = analyses_of_recording(recording(125.0, 125 * 60))
    assert (analyses.power, analyses.coherence) == ((), (("a", "b"),))
    assert (analyses.fmin_hz, analyses.fmax_hz) == (8 / 60, 125 / 4)
    assert analyses.hop_s == 8 / (125 / 4)


def test_a_recording_of_one_channel_gets_its_power() -> None:
    analyses = analyses_of_recording(recording(125.0, 7500, "ecg"), band=(1, 10))
    assert (analyses.power, analyses.coherence) == (("ecg",), ())
    assert (analyses.fmin_hz, analyses.fmax_hz) == (1, 10)


@pytest.mark.parametrize("fs_hz", [0.1, 1.0, 125.0, 44_100.0, 192_000.0])
@pytest.mark.parametrize("n_samples", [1, 100, 10_000, 1_000_000, 100_000_000])
def test_ingest_takes_the_default_of_any_recording(fs_hz: float, n_samples: int) -> None:
    info = recording(fs_hz, n_samples)
    definition = derived_definition("upload", info, analyses_of_recording(info))
    assert plan_lanes(definition, log_max_age_s=86_400.0)


def test_a_difference_is_a_sentence() -> None:
    info = recording(125.0, 7500)
    present = derived_definition("s", info, analyses_of_recording(info, power=("a",)))
    assert difference(present, present) is None
    asked = analyses_of_recording(info, power=("a", "b"), band=(1, 10))
    words = difference(present, derived_definition("s", info, asked)) or ""
    assert "analysis power has channels=a and not a b; " in words
    assert "fmax_hz=31.25 and not 10" in words
    other = derived_definition("s", recording(250.0, 9, "x"), asked_nothing())
    assert difference(present, other) == (
        "it has 125 Hz and not 250 Hz; it has the channels a, b, c and not x"
    )


def asked_nothing() -> Analyses:
    return Analyses(fmin_hz=1, fmax_hz=2)


def test_a_column_of_times_is_no_signal() -> None:
    analyses = analyses_of_recording(recording(100.0, 6000, "Time", "left", "right"))

    assert analyses.coherence == (("left", "right"),)
