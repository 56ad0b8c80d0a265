"""The import graph counts what it says, on a package written for the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.import_graph import cycles, import_graph, levels, packages

FILES = {
    "__init__.py": "from root.top import run\n",
    "top.py": "from root.low import leaf\n\ndef run():\n    from root.side import other\n",
    "side.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import root.top\n",
    "low/__init__.py": "",
    "low/leaf.py": "import root.low.twin\n",
    "low/twin.py": "from root.low.leaf import x\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "root"


def test_edges_are_imports_at_run_time(package: Path) -> None:
    graph = import_graph(package)
    assert graph["root.top"] == {"root.low.leaf", "root.side"}
    assert graph["root.side"] == set()


def test_modules_that_import_each_other_are_a_cycle_of_one_level(package: Path) -> None:
    graph = import_graph(package)
    assert cycles(graph) == [["root.low.leaf", "root.low.twin"]]
    assert levels(graph) == 3


def test_members_of_the_package_are_counted_without_their_insides(package: Path) -> None:
    assert packages(import_graph(package)) == {
        "root.top": {"root.low", "root.side"},
        "root.side": set(),
        "root.low": set(),
    }


def test_imports_between_packages_count_as_those_within_one(package: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "__init__.py").write_text("")
    (other / "user.py").write_text("import root.top\n")
    graph = import_graph(package, other)
    assert graph["other.user"] == {"root.top"}
    assert packages(graph)["other.user"] == {"root.top"}
