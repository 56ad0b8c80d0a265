"""deploy/requirements.txt: all that the image needs, as constraints.txt pins it, with hashes."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "pycwt-mod"
#: The image's, whatever runs the tests.
IMAGE = {
    "python_version": "3.11", "python_full_version": "3.11.9", "sys_platform": "linux",
    "platform_system": "Linux", "os_name": "posix", "implementation_name": "cpython",
    "platform_python_implementation": "CPython", "platform_machine": "x86_64",
}  # fmt: skip


@pytest.fixture(scope="session")
def pins(root: Path) -> dict[str, str]:
    """What the image installs: the version of each package."""
    text = (root / "deploy/requirements.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def test_every_pin_is_that_of_the_constraints(root: Path, pins: dict[str, str]) -> None:
    lines = (root / "constraints.txt").read_text().splitlines()
    constraints: dict[str, str] = {
        canonicalize_name(name): version
        for name, _, version in (line.partition("==") for line in lines if line[:1] != "#")
    }
    assert pins == {name: constraints[name] for name in pins}


def test_every_pin_has_hashes(root: Path, pins: dict[str, str]) -> None:
    blocks = re.split(
        r"^(?=[\w.-]+==)", (root / "deploy/requirements.txt").read_text(), flags=re.MULTILINE
    )
    assert len(blocks) == len(pins) + 1
    assert all("--hash=sha256:" in block for block in blocks[1:])


def test_it_has_what_the_services_and_their_build_need_and_nothing_else(
    root: Path, pins: dict[str, str]
) -> None:
    """`make requirements` writes it again."""
    loaded = tomllib.loads((root / "pyproject.toml").read_text())
    about = loaded["project"]
    extras = about["optional-dependencies"]
    found: set[tuple[str, str]] = set()
    waiting = [(PROJECT, ""), (PROJECT, "gateway")]
    waiting += [(canonicalize_name(each), "") for each in loaded["build-system"]["requires"]]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        if name == PROJECT:
            lines = extras[extra] if extra else about["dependencies"]
        else:
            lines = dependencies(name)
        for each in map(Requirement, lines):
            if each.marker is None or each.marker.evaluate({**IMAGE, "extra": extra}):
                needed = canonicalize_name(each.name)
                waiting += [(needed, ""), *((needed, option) for option in each.extras)]
    assert set(pins) == {name for name, _ in found} - {PROJECT}


def dependencies(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # for the image's Python alone
        return []
