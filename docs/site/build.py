"""Build the documentation as a site, in out/site: ``make site``.

The pages keep the paths that they have in the repository, so that every link between them works in
both places. Pages are found by following links from README.md; a link without a target ends the
build, and so does a page of docs/ that no page links to.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
from pathlib import Path
from typing import Union

import yaml
from asyncapi import asyncapi_page
from mkdocs.commands.build import build
from mkdocs.config import load_config

#: The navigation: a page, pages with titles, or a list of both.
Nav = Union[str, dict[str, "Nav"], list["Nav"]]  # noqa: UP007 - a name in quotes

SITE = Path(__file__).parent
ROOT = SITE.parents[1]
PAGES = ROOT / "out" / "site-pages"
#: Targets of links, except those of images, which must also be copied, and of web addresses.
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)\s#]+)|<img[^>]+src=\"(?!https?:)([^\"]+)\"")


def linked_files(start: Path) -> set[Path]:
    """Return `start` and all files that are reached from it by links between Markdown pages."""
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        if file.suffix != ".md":
            continue
        for link, image in LINK.findall(file.read_text(encoding="utf-8")):
            target = (file.parent / (link or image)).resolve()
            if not target.exists():
                sys.exit(f"{file.relative_to(ROOT)}: {link or image} does not exist")
            if target.is_file():
                waiting.append(target)
    return found


def collect() -> None:
    """Copy the pages, what they link to, and the generated references to `PAGES`."""
    shutil.rmtree(PAGES, ignore_errors=True)
    files = linked_files(ROOT / "README.md")
    orphans = {*(ROOT / "docs").rglob("*.md")} - files - {*SITE.rglob("*.md")}
    if orphans:
        sys.exit("no page links to " + ", ".join(str(page.relative_to(ROOT)) for page in orphans))
    for file in files:
        copy = PAGES / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            # What follows a language is for the test that runs the code.
            text = re.sub(
                r"^(```\w+) .*$", r"\1", file.read_text(encoding="utf-8"), flags=re.MULTILINE
            )
            copy.write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(file, copy)
    shutil.copytree(SITE / "api", PAGES / "docs" / "api")
    document = json.loads((ROOT / "docs" / "asyncapi.json").read_text(encoding="utf-8"))
    (PAGES / "docs" / "api" / "asyncapi.md").write_text(asyncapi_page(document), encoding="utf-8")


def expanded(entry: Nav) -> Nav:
    """Replace a folder in the navigation by its pages, the index first."""
    if isinstance(entry, list):
        return [expanded(each) for each in entry]
    if isinstance(entry, dict):
        return {title: expanded(content) for title, content in entry.items()}
    folder = PAGES / entry
    if not folder.is_dir():
        return entry
    pages = sorted(folder.glob("*.md"), key=lambda page: (page.name != "README.md", page.name))
    return {folder.name.capitalize(): [str(page.relative_to(PAGES)) for page in pages]}


def main() -> None:
    """Build the site; a warning is an error."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    collect()
    config_file = SITE / "mkdocs.yml"
    nav = yaml.safe_load(config_file.read_text(encoding="utf-8"))["nav"]
    build(load_config(str(config_file), nav=expanded(nav), strict=True))
    print("Wrote out/site; to read it: python -m http.server --directory out/site")


if __name__ == "__main__":
    main()
