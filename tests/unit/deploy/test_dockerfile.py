"""deploy/Dockerfile: what it copies is there, is enough to install, and is in the context."""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

REQUIREMENTS = "deploy/requirements.txt"


@pytest.fixture(scope="session")
def instructions(root: Path) -> list[tuple[str, str]]:
    """The instructions of the Dockerfile and their arguments."""
    text = (root / "deploy/Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


@pytest.fixture(scope="session")
def copied(instructions: list[tuple[str, str]]) -> set[str]:
    """What of the repository is in the image."""
    copies = [rest.split() for name, rest in instructions if name == "COPY"]
    return {source for words in copies for source in words[:-1]}


@pytest.fixture(scope="session")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


def test_all_that_is_copied_exists(copied: set[str], root: Path) -> None:
    assert [path for path in sorted(copied) if not (root / path).exists()] == []


def test_all_that_the_wheel_is_built_from_is_copied(
    copied: set[str], project: dict[str, Any]
) -> None:
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    about = project["project"]
    needed = {package.partition("/")[0] for package in wheel}
    needed |= {about["readme"], *about["license-files"], "pyproject.toml", REQUIREMENTS}
    assert copied == needed


def test_the_build_context_has_what_is_copied_and_nothing_else(
    copied: set[str], root: Path
) -> None:
    rules = [line for line in (root / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert rules[0] == "*"
    assert allowed == copied
    dropped = [rule for rule in rules[1:] if not rule.startswith("!")]
    assert not any(fnmatch.fnmatch(path, rule) for path in copied for rule in dropped)


def test_the_image_has_the_python_that_the_project_asks_for(
    instructions: list[tuple[str, str]], project: dict[str, Any]
) -> None:
    image = dict(instructions)["FROM"]
    wanted = project["project"]["requires-python"].removeprefix(">=")
    assert image == f"python:{wanted}-slim"


def test_everything_is_installed_by_its_hash(instructions: list[tuple[str, str]]) -> None:
    installs = [rest for name, rest in instructions if name == "RUN" and "pip install" in rest]
    assert installs == [
        "pip install --require-hashes --requirement requirements.txt",
        "pip install --no-index --no-deps --no-build-isolation .",
    ]
    assert ("COPY", f"{REQUIREMENTS} ./") in instructions


def test_it_does_not_run_as_root(instructions: list[tuple[str, str]]) -> None:
    names = [name for name, _ in instructions]
    users = [rest for name, rest in instructions if name == "USER"]
    assert users
    assert users[-1] not in {"root", "0"}
    assert names.index("USER") < names.index("CMD")


def test_the_service_is_process_1_and_gets_the_signals(
    instructions: list[tuple[str, str]],
) -> None:
    commands = [rest for name, rest in instructions if name in {"CMD", "ENTRYPOINT"}]
    assert [json.loads(command)[0] for command in commands] == ["python"]
    assert not any(re.match(r"(sh|bash)\b", command) for command in commands)
