"""Words about a picture."""

from __future__ import annotations

import numpy as np
import pytest

from cwt_cli.demo_summary import PairSummary, summarise, summary_in_words
from pycwt_client import Picture
from tests.text import numbers


def picture(*, mask: bool = False, signif: float | None = 0.7, phase: float = 0.0) -> Picture:
    """Three scales, ten instants; the middle scale is strongest, for eight of the instants."""
    values = np.full((3, 10), 0.2)
    values[1] = [0.9] * 8 + [0.1] * 2
    return Picture(
        samples=np.arange(10),
        freqs_hz=np.array([4.0, 2.0, 1.0]),
        values=values,
        phase=np.full((3, 10), phase),
        mask=np.full((3, 10), mask),
        signif=None if signif is None else np.full(3, signif),
        fs_hz=None,
    )


def test_the_strongest_frequency_is_the_one_with_the_largest_median() -> None:
    found = summarise(picture(phase=np.pi / 2))
    assert found is not None
    assert (found.freq_hz, found.coherence, found.above_level_percent) == (2.0, 0.9, 80.0)
    assert found.phase_deg == pytest.approx(90)
    assert found.lead_ms == pytest.approx(125)


def test_phases_around_the_half_turn_do_not_cancel() -> None:
    one = picture()
    assert one.phase is not None
    one.phase[1] = [3.1, -3.1] * 5
    found = summarise(one)
    assert found is not None
    assert found.phase_deg is not None
    assert abs(found.phase_deg) == pytest.approx(180, abs=1e-6)


def test_masked_instants_do_not_count() -> None:
    one = picture()
    one.mask[1, :8] = True
    found = summarise(one)
    assert found is not None
    assert found.coherence == 0.2


def test_where_nothing_is_valid_there_is_no_summary() -> None:
    assert summarise(picture(mask=True)) is None
    assert numbers(summary_in_words(("a", "b"), None, 0.95)) == []


def test_without_levels_nothing_is_said_of_them() -> None:
    found = summarise(picture(signif=None))
    assert "95" not in numbers(summary_in_words(("a", "b"), found, 0.95))


@pytest.mark.parametrize(
    ("phase_deg", "words"),
    [(90.0, "a leads b by 250 ms"), (-36.0, "b leads a by 100 ms")],
)
def test_text_names_leading_signal(phase_deg: float, words: str) -> None:
    summary = PairSummary(
        freq_hz=1.0, coherence=0.93, above_level_percent=77.4, phase_deg=phase_deg
    )
    text = summary_in_words(("a", "b"), summary, 0.95)
    assert numbers(text)[:5] == ["1.00", "60", "0.93", "95", "77"]
    assert words in text
    assert numbers(text)[-1] == "1000"  # ms, of a period
