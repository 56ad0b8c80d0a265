"""The Python blocks of the library's pages run, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = ("tutorial.md", "coming-from-pycwt.md")
#: Of a picture in the repository.
MAX_IMAGE_BYTES = 200_000


def blocks(page: str) -> list[str]:
    """Return the Python blocks of a page, each at its line, so that a failure shows where."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [
        "\n" * text.count("\n", 0, match.start(1)) + match[1]
        for match in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_code_block_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs" / "images").mkdir(parents=True)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    found = blocks(page)
    assert found
    for block in found:
        exec(compile(block, page, "exec"), names)
    saved = {path.name for path in (tmp_path / "docs" / "images").iterdir()}
    shown = set(re.findall(r"\(images/([^)]+)\)", (ROOT / "docs" / page).read_text()))
    assert saved == shown


@pytest.mark.parametrize("page", PAGES)
def test_pictures_are_there_and_small(page: str) -> None:
    for name in re.findall(r"\(images/([^)]+)\)", (ROOT / "docs" / page).read_text()):
        assert 1000 < (ROOT / "docs" / "images" / name).stat().st_size < MAX_IMAGE_BYTES
