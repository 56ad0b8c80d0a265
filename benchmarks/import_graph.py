"""Count the modules of packages, the imports between them, their levels and their cycles.

    python -m benchmarks.import_graph pycwt_mod
    python -m benchmarks.import_graph services/*/cwt_*

An edge is an import of another module of the packages, anywhere in the file: an import inside a
function counts, an import for type checkers does not. An import of a name from a package counts as
an import of the module of that name if there is one, else of the package itself.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

Graph = dict[str, set[str]]


def import_graph(*folders: Path) -> Graph:
    """Return the imports of each module between the packages in `folders`, by dotted names."""
    files = {
        _dotted(path, folder.parent): path
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
    }
    return {
        name: {found for found in _imported(path, files) if found != name}
        for name, path in files.items()
    }


def packages(graph: Graph) -> Graph:
    """Return the imports between the direct members of the root packages."""
    merged: Graph = {}
    for name, imported in graph.items():
        member = _member(name)
        merged.setdefault(member, set()).update(_member(other) for other in imported)
    roots = {name.partition(".")[0] for name in graph}
    return {
        name: imported - {name} - roots for name, imported in merged.items() if name not in roots
    }


def cycles(graph: Graph) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or indirectly."""
    reached = {name: _reachable(name, graph) for name in graph}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in graph
        if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


def levels(graph: Graph) -> int:
    """Return the length of the longest chain of imports; the modules of a cycle count as one."""
    group_of = {name: name for name in graph}
    for group in cycles(graph):
        group_of.update(dict.fromkeys(group, group[0]))
    below: Graph = {}
    for name, imported in graph.items():
        below.setdefault(group_of[name], set()).update(group_of[other] for other in imported)
    depth: dict[str, int] = {}

    def level(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((level(o) for o in below[name] if o != name), default=0)
        return depth[name]

    return max(map(level, below))


def _reachable(start: str, graph: Graph) -> set[str]:
    found: set[str] = set()
    pending = list(graph[start])
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(graph[name])
    return found


def _imported(path: Path, files: dict[str, Path]) -> Iterator[str]:
    for node in _runtime_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            for alias in node.names:
                submodule = f"{module}.{alias.name}"
                target = submodule if submodule in files else module
                if target in files:
                    yield target


def _runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes except those under ``if TYPE_CHECKING:``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _runtime_nodes(child)


def _dotted(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _member(name: str) -> str:
    return ".".join(name.split(".")[:2])


def main() -> None:
    """Print the figures of the packages named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="+", help="Folder of a package")
    parser.add_argument("--edges", action="store_true", help="List the imports of each module")
    options = parser.parse_args()
    graph = import_graph(*options.folder)
    top = packages(graph)
    print(f"modules                 {len(graph)}")
    print(f"imports between modules {sum(map(len, graph.values()))}")
    print(f"levels of imports       {levels(graph)}")
    print(f"cycles of modules       {cycles(graph) or 'none'}")
    print(f"top-level members       {len(top)}")
    print(f"imports between members {sum(map(len, top.values()))}")
    print(f"levels of members       {levels(top)}")
    print(f"cycles of members       {cycles(top) or 'none'}")
    if options.edges:
        for name, imported in graph.items():
            print(name, "->", ", ".join(sorted(imported)) or "nothing")


if __name__ == "__main__":
    main()
