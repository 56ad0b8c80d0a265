"""What the pages point at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from cwt_cli.__main__ import app
from tests.unit.docs.conftest import PAGES, ROOT

FOLDERS = (
    r"(?:pycwt_mod|schemas|services|pycwt_client|cli|gateware|tests|docs|deploy|examples"
    r"|benchmarks|\.ci)"
)
PATH = re.compile(rf"(?<![\w./-])({FOLDERS}/[\w./*-]*[\w*/])")

each_page = pytest.mark.parametrize("page", PAGES)


def without_code_of_others(text: str) -> str:
    """Leave out what is typed on a machine that is not the reader's clone."""
    return re.sub(r"https?://\S+", "", text)


@each_page
def test_every_path_exists(page: str) -> None:
    named = {path.rstrip("/.") for path in PATH.findall(without_code_of_others(PAGES[page]))}
    assert [path for path in sorted(named) if not list(ROOT.glob(path))] == []


@each_page
def test_every_make_target_exists(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:`|^|\$ )make ([a-z]+)", PAGES[page], re.MULTILINE))
    assert named <= targets


@each_page
def test_every_command_of_ours_exists(page: str) -> None:
    commands = set(typer.main.get_group(app).commands)
    named = set(re.findall(r"(?:`|^|\$ |\d )pycwt-mod ([a-z]+)", PAGES[page], re.MULTILINE))
    assert named <= commands


@each_page
def test_every_relative_link_resolves(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", PAGES[page]):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(file: Path) -> set[str]:
    """The anchors of the headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


DECISIONS = {page: text for page, text in PAGES.items() if re.match(r"docs/decisions/\d{4}-", page)}


@pytest.mark.parametrize("page", DECISIONS)
def test_a_decision_has_a_status_and_is_in_the_index(page: str) -> None:
    title, _, status = DECISIONS[page].splitlines()[:3]
    assert re.match(r"Status: (accepted|superseded by \[\d+\]\(\d{4}-[a-z0-9-]+\.md\))[,.]", status)
    number, name = Path(page).name[:4], title.split(". ", 1)[1]
    row = f"| [{number}]({Path(page).name}) | {name}"
    assert row in PAGES["docs/decisions/README.md"]


@each_page
def test_a_page_is_for_strangers(page: str) -> None:
    """No machine's own paths, no issue numbers, no pictures in place of words."""
    text = PAGES[page]
    assert not re.findall(r"(?<![\w.])/(?:home|root|work|tmp)/", text)
    assert not re.findall(r"(?<!\w)#\d+\b(?!\])", text)
    assert not re.findall("[\U0001f300-\U0001faff\u2600-\u27bf]", text)
