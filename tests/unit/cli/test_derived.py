"""A definition made of a source and a few wishes."""

from __future__ import annotations

import pytest

from cwt_cli.derived import derived_definition, parse_wishes
from cwt_cli.faults import CommandError
from cwt_schemas.errors import Unprocessable
from cwt_schemas.stream import Channel
from pycwt_client.sources import SourceInfo

INFO = SourceInfo(
    name="amplifier",
    channels=(Channel(name="c3", unit="uV"), Channel(name="c4", unit="uV")),
    fs_hz=250.0,
    n_samples=None,
)


def test_channels_rate_and_analyses_follow_the_source_and_the_wishes() -> None:
    wishes = parse_wishes("c3,c4", ["c3,c4"], "2,40")
    assert wishes is not None
    definition = derived_definition("eeg", INFO, wishes)
    assert (definition.fs_hz, definition.channels) == (250.0, INFO.channels)
    power, coherence = definition.analyses
    assert (power.op, power.channel_sets) == ("cwt", (("c3",), ("c4",)))
    assert (coherence.op, coherence.channel_sets) == ("wct", (("c3", "c4"),))
    assert coherence.significance is not None
    assert (coherence.fmin_hz, coherence.fmax_hz, coherence.hop_s) == (2, 40, 0.2)


def test_no_wish_is_no_definition() -> None:
    assert parse_wishes(None, [], None) is None


@pytest.mark.parametrize(
    ("coherence", "band", "fault"),
    [
        (["c3,c4"], None, "--band 2,40"),
        (["c3,c4"], "fast", "--band 2,40"),
        (["c3"], "2,40", "--coherence"),
    ],
)
def test_wishes_that_cannot_be_read_say_how_to_write_them(
    coherence: list[str], band: str | None, fault: str
) -> None:
    with pytest.raises(CommandError, match=fault):
        parse_wishes(None, coherence, band)


def test_wishes_that_do_not_fit_the_source_are_refused_by_name() -> None:
    wishes = parse_wishes("c5", [], "2,40")
    assert wishes is not None
    with pytest.raises(Unprocessable, match="no channel c5"):
        derived_definition("eeg", INFO, wishes)
