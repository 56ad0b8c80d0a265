"""The cookbook's commands, as they stand on the page, one after the other."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import anyio
import pytest

from tests.deadlines import fail_after
from tests.system.conftest import RunningSystem
from tests.system.nats_cli.conftest import NATS
from tests.system.nats_cli.test_nats_cli import environment

pytestmark = [pytest.mark.anyio, pytest.mark.system]

PAGE = Path(__file__).parents[3] / "docs" / "cookbook.md"
RECIPE = re.compile(r"```sh run\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


async def test_every_recipe_prints_what_the_page_says(system: RunningSystem) -> None:
    recipes = RECIPE.findall(PAGE.read_text())
    assert len(recipes) == PAGE.read_text().count("```sh run\n") > 10
    assert NATS is not None
    path = os.pathsep.join((str(Path(NATS).parent), os.environ["PATH"]))
    surroundings = {**environment(system), "NATS_URL": system.url, "PATH": path}
    for commands, expected in recipes:
        with fail_after(60):
            done = await anyio.run_process(
                ["bash", "-euo", "pipefail", "-c", commands],
                env=surroundings,
                cwd=system.folder,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                check=False,
            )
        said = done.stdout.decode()
        assert done.returncode == 0, f"{commands}\n{said}"
        for line in expected.splitlines():
            assert line in said, f"{commands}\n{said}"
