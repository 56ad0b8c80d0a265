"""Writes `src/cividis.ts`, matplotlib's colour map cividis; run it from anywhere."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

HEADER = """\
/** Matplotlib's colour map cividis as 256 RGB triples in hexadecimal; made by make_colours.py.
 *
 * Nuñez, Anderton, Renslow (2018), doi:10.1371/journal.pone.0199239. Matplotlib's licence:
 * https://matplotlib.org/stable/project/license.html
 */
"""


def main() -> None:
    """Write the table."""
    colours = mpl.colormaps["cividis"](np.arange(256), bytes=True)[:, :3]
    text = colours.astype(np.uint8).tobytes().hex()
    lines = [text[i : i + 96] for i in range(0, len(text), 96)]
    table = " +\n".join(f'  "{line}"' for line in lines)
    path = Path(__file__).parent / "src" / "cividis.ts"
    path.write_text(f"{HEADER}export const CIVIDIS =\n{table};\n")


if __name__ == "__main__":
    main()
