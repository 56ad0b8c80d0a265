"""The pages that people read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]

#: Every page, by its path from the root.
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in sorted(
        [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]
    )
}
