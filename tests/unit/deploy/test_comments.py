"""Comments in the files that deploy the system name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FILES = (
    "compose.yaml",
    "deploy/Dockerfile",
    "deploy/nats/accounts.conf",
    "deploy/nats/cluster.conf",
    "deploy/nats/server.conf",
)


@pytest.mark.parametrize("name", FILES)
def test_every_path_in_a_comment_exists(root: Path, name: str) -> None:
    comments = re.findall(r"^\s*#(.*)$", (root / name).read_text(), re.MULTILINE)
    paths = re.findall(r"(?<![\w/:])[\w-]+(?:/[\w.-]+)*/[\w-]+\.[a-z]+\b", "\n".join(comments))
    assert [path for path in paths if not (root / path).exists()] == []
