"""Draw a scalogram in characters, two frequencies per line. Pure functions.

Rows are frequencies on a logarithmic axis, the highest on top; columns are times, the latest on the
right. In colour, a character is an upper half block: its foreground is the upper frequency, its
background the lower one. Masked values are grey and dotted; values below the significance level
are muted. Without colour, a character is a shade from ``.`` to ``@``, one of the lighter half below
the significance level, and ``/`` if masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from rich.color import Color
from rich.style import Style
from rich.text import Text

from cwt_cli.colours import RGB, colours, grey, muted
from pycwt_client import Picture

__all__ = ["Scale", "frequency_axis", "scale_of", "scalogram_lines", "time_axis"]

Real = npt.NDArray[np.floating[Any]]

HALF, MASKED, NOTHING = "▀", "░", " "
#: Shades from small to large values.
SHADES = " .:-=+*#%@"
#: Width of the frequency labels, including the blank after them.
AXIS = 8
#: Smallest brightness of masked values, so that they stay visible, from 0 to 255.
DIMMEST = 60
#: Displayed range of the power, on a logarithmic scale; smaller values are darkest.
DECADES = 4.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The values of the darkest and the brightest colour."""

    low: float
    high: float
    kind: Literal["linear", "log"]

    def __call__(self, values: Real) -> Real:
        """Scale values to 0 to 1."""
        if self.kind == "log":
            low, high = np.log10(self.low), np.log10(self.high)
            values = np.log10(np.maximum(values, self.low * 1e-3))
        else:
            low, high = self.low, self.high
        return np.asarray((values - low) / max(high - low, 1e-12))

    def words(self) -> str:
        """Format the ends of the scale."""
        return f"{self.low:.2g} to {self.high:.2g}"


def scale_of(picture: Picture, quantity: str) -> Scale:
    """Return the scale of a picture: fixed for coherence and phase, else from its values."""
    if quantity == "coherence":
        return Scale(low=0.0, high=1.0, kind="linear")
    if quantity == "phase":
        return Scale(low=-np.pi, high=np.pi, kind="linear")
    size = np.abs(picture.values)
    usable = size[~picture.mask & np.isfinite(size) & (size > 0)]
    if usable.size == 0:
        return Scale(low=0.1, high=1.0, kind="log")
    high = float(usable.max())
    low = max(float(np.quantile(usable, 0.05)), high * 10**-DECADES)
    return Scale(low=min(low, high / 2), high=high, kind="log")


def scalogram_lines(picture: Picture, scale: Scale, *, height: int, colour: bool) -> list[Text]:
    """Draw `height` lines with frequency labels, one character per column of the picture.

    Parameters
    ----------
    picture
        The picture, with descending frequencies.
    scale
        The values of the darkest and the brightest colour.
    height
        Number of lines; in colour, each shows two frequencies.
    colour
        Whether the terminal supports colours.
    """
    n_pixels = 2 * height if colour else height
    rows = _rows(picture.freqs_hz, n_pixels)
    values = _real(picture.values[rows])
    level = None if picture.signif is None else picture.signif[rows]
    reached = np.ones(values.shape, bool) if level is None else ~(values <= level[:, None])
    absent, masked = ~np.isfinite(values), picture.mask[rows]
    shares = np.nan_to_num(scale(values))
    labels = frequency_axis(picture.freqs_hz, height)
    if not colour:
        return [
            Text(label + _shades(shares[row], reached[row], masked[row], absent[row]))
            for row, label in enumerate(labels)
        ]
    rgb = colours(shares)
    rgb = np.where(reached[..., None], rgb, muted(rgb))
    rgb = np.where(masked[..., None], grey(rgb), rgb).astype(np.uint8)
    rgb[absent] = 0
    lines = []
    for row, label in enumerate(labels):
        pair = slice(2 * row, 2 * row + 2)
        lines.append(_blocks(label, rgb[pair], _both(masked[pair]), _both(absent[pair])))
    return lines


def frequency_axis(freqs_hz: Real, height: int) -> list[str]:
    """Return the labels of `height` lines: the highest and lowest frequency, and some between."""
    top, bottom = float(freqs_hz[0]), float(freqs_hz[-1])
    every = 4 if height > 8 else 2
    labels = []
    for line in range(height):
        share = line / max(height - 1, 1)
        hz = top * (bottom / top) ** share
        labelled = (line % every == 0 and line < height - 2) or line == height - 1
        labels.append(f"{_short(hz):>{AXIS - 1}} " if labelled else " " * AXIS)
    return labels


def time_axis(times_s: Real, width: int) -> str:
    """Return the time axis: seconds before the end, and the time of the end."""
    begin, end = float(times_s[0]), float(times_s[-1])
    line = f"{-(end - begin):.3g} s"
    middle = f"{-(end - begin) / 2:.3g}"
    right = f"at {end:.1f} s"
    at = max(width // 2, len(line) + 1)
    line = f"{line:<{at}}{middle}"
    return " " * AXIS + (f"{line:<{max(width - len(right), 0)}}{right}")[:width]


def _rows(freqs_hz: Real, n_pixels: int) -> npt.NDArray[np.intp]:
    """Return the nearest row for each of `n_pixels` on a logarithmic axis."""
    logs = np.log(freqs_hz)
    targets = np.linspace(logs[0], logs[-1], n_pixels)
    return np.asarray(np.abs(logs[:, None] - targets).argmin(axis=0), dtype=np.intp)


def _real(values: npt.NDArray[Any]) -> Real:
    return np.abs(values) if np.iscomplexobj(values) else values


def _both(pair: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return np.asarray(pair[0] & pair[1])


def _shades(
    shares: Real,
    reached: npt.NDArray[np.bool_],
    masked: npt.NDArray[np.bool_],
    absent: npt.NDArray[np.bool_],
) -> str:
    # Use the lighter shades below the significance level, so that significant values stand out.
    at = np.where(reached, shares, shares / 2) * (len(SHADES) - 1)
    shades = [SHADES[int(place)] for place in np.clip(at, 0, len(SHADES) - 1)]
    for column in np.flatnonzero(masked):
        shades[column] = "/"
    for column in np.flatnonzero(absent):
        shades[column] = NOTHING
    return "".join(shades)


def _blocks(
    label: str, pair: RGB, masked: npt.NDArray[np.bool_], absent: npt.NDArray[np.bool_]
) -> Text:
    line = Text(label)
    for upper, lower, no, gone in zip(pair[0], pair[1], masked, absent, strict=True):
        if gone:
            line.append(NOTHING)
        elif no:
            line.append(MASKED, Style(color=_colour(np.maximum(upper, DIMMEST))))
        else:
            line.append(HALF, Style(color=_colour(upper), bgcolor=_colour(lower)))
    return line


def _colour(rgb: RGB) -> Color:
    return Color.from_rgb(float(rgb[0]), float(rgb[1]), float(rgb[2]))


def _short(hz: float) -> str:
    plain = f"{hz:.3g}"
    return plain if len(plain) < AXIS else f"{hz:.1g}"
