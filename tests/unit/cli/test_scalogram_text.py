"""What a terminal shows of a picture, character by character."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console
from rich.style import Style
from rich.text import Text

from cwt_cli.colours import colours
from cwt_cli.scalogram_text import (
    AXIS,
    HALF,
    MASKED,
    Scale,
    frequency_axis,
    scale_of,
    scalogram_lines,
    time_axis,
)
from pycwt_client import Picture

LINEAR = Scale(low=0.0, high=1.0, kind="linear")


def picture(
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    *,
    signif: float | None = None,
    mask: bool = False,
) -> Picture:
    k, n = values.shape
    return Picture(
        samples=np.arange(n),
        freqs_hz=8.0 / 2 ** (np.arange(k) / 2),
        values=values,
        phase=None,
        mask=np.full((k, n), mask),
        signif=None if signif is None else np.full(k, signif),
        fs_hz=4.0,
    )


def cell(line: Text, column: int) -> tuple[str, Style]:
    """The character and its style."""
    at = AXIS + column
    spans = [span.style for span in line.spans if span.start <= at < span.end]
    return line.plain[at], Style.combine([each for each in spans if isinstance(each, Style)])


def rgb(style: Style, *, background: bool = False) -> tuple[int, ...]:
    colour = style.bgcolor if background else style.color
    assert colour is not None
    return tuple(colour.get_truecolor())


def test_a_character_has_its_upper_frequency_in_front_and_the_lower_one_behind() -> None:
    values = np.array([[0.0, 0.5], [1.0, 0.25]])
    (line,) = scalogram_lines(picture(values), LINEAR, height=1, colour=True)
    char, style = cell(line, 0)
    assert char == HALF
    assert rgb(style) == tuple(colours(np.array(0.0)))
    assert rgb(style, background=True) == tuple(colours(np.array(1.0)))


def test_what_does_not_reach_its_level_is_darker() -> None:
    values = np.full((2, 1), 0.6)
    bright, dark = (
        sum(rgb(cell(scalogram_lines(picture(values, signif=level), LINEAR, height=1,
                                     colour=True)[0], 0)[1]))
        for level in (0.5, 0.7)
    )  # fmt: skip
    assert dark < bright / 1.5


def test_what_is_masked_is_dotted_and_what_did_not_come_is_blank() -> None:
    (masked,) = scalogram_lines(picture(np.ones((2, 2)), mask=True), LINEAR, height=1, colour=True)
    assert masked.plain[AXIS:] == MASKED * 2
    red, green, blue = rgb(cell(masked, 0)[1])
    assert red == green == blue
    nothing = picture(np.full((2, 2), np.nan), mask=True)
    assert scalogram_lines(nothing, LINEAR, height=1, colour=True)[0].plain[AXIS:] == "  "


def test_without_colours_shades_say_how_much_and_marks_what_is_masked() -> None:
    values = np.array([[0.0, 0.34, 1.0, np.nan]])
    (line,) = scalogram_lines(picture(values), LINEAR, height=1, colour=False)
    assert line.plain[AXIS:] == " -@ "
    (low,) = scalogram_lines(picture(values, signif=2.0), LINEAR, height=1, colour=False)
    assert low.plain[AXIS + 2] < "@"
    assert low.plain[AXIS + 2] == "="
    (masked,) = scalogram_lines(picture(values, mask=True), LINEAR, height=1, colour=False)
    assert masked.plain[AXIS:] == "/// "


@pytest.mark.parametrize("height", [3, 10, 40])
@pytest.mark.parametrize("colour", [True, False])
def test_every_line_has_the_width_of_the_axis_and_the_columns(height: int, colour: bool) -> None:
    values = np.random.default_rng(0).random((24, 50))
    lines = scalogram_lines(picture(values), LINEAR, height=height, colour=colour)
    assert [len(line.plain) for line in lines] == [AXIS + 50] * height


def test_the_axis_is_logarithmic_and_names_its_ends() -> None:
    labels = frequency_axis(np.array([16.0, 8.0, 4.0, 2.0, 1.0]), 5)
    assert [label.strip() for label in labels] == ["16", "", "4", "", "1"]


def test_the_time_below_is_before_the_newest_column() -> None:
    line = time_axis(np.linspace(10.0, 70.0, 40), 40)
    assert line.startswith(" " * AXIS + "-60 s")
    assert line.endswith("at 70.0 s")
    assert len(line) == AXIS + 40


def test_scales_are_fixed_for_coherence_and_found_for_power() -> None:
    values = np.array([[0.01] * 10 + [1.0] * 9 + [100.0, np.nan]])
    assert scale_of(picture(values), "coherence") == LINEAR
    power = scale_of(picture(values), "power")
    assert (power.low, power.high, power.kind) == (0.01, 100.0, "log")
    np.testing.assert_allclose(power(np.array([0.01, 1.0, 100.0])), [0, 0.5, 1])


@pytest.mark.parametrize("colour_system", ["truecolor", "256", "standard"])
def test_any_terminal_with_colours_can_show_it(colour_system: str) -> None:
    lines = scalogram_lines(
        picture(np.random.default_rng(0).random((8, 20))), LINEAR, height=4, colour=True
    )
    console = Console(force_terminal=True, color_system=colour_system, width=40)  # type: ignore[arg-type]
    with console.capture() as captured:
        for line in lines:
            console.print(line)
    assert captured.get().count(HALF) == 80
