"""docs/architecture.md: every room is on the map, every place on it exists, and imports go one way."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "benchmark" / "cerebench"
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
LATE = {("contract", "loop"), ("training", "loop")}
"""Imports inside functions, against the rows, that the page names."""


def rows() -> dict[str, int]:
    """Room → row of the map."""
    found = {}
    for number, names in re.findall(r"^\| (\d+) \| (.*?) \|", TEXT, re.MULTILINE):
        for name in re.findall(r"`([\w.]+)/?`", names):
            found[name.removesuffix(".py")] = int(number)
    return found


def rooms() -> list[Path]:
    """Packages and modules right below the harness."""
    return [
        path
        for path in sorted(PACKAGE.iterdir())
        if (path.is_dir() and (path / "__init__.py").is_file()) or (path.suffix == ".py" and path.stem != "__init__")
    ]


def imports(path: Path) -> set[str]:
    """Rooms that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("cerebench.")}
    return found


def test_every_room_is_on_the_map() -> None:
    assert set(rows()) == {path.stem for path in rooms()}


def test_every_path_exists() -> None:
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"`((?:benchmark|methods|datasets|tests|benchmarks|docs|results)/[\w./-]*)`", prose))
    short = re.findall(r"`([a-z]+(?:/[\w.]*|\.py))`", prose)
    named |= {f"benchmark/cerebench/{name}" for name in short if in_room(name)}
    named |= {f"docs/{name}" for name in re.findall(r"\]\(([\w-]+\.md)", prose)}
    assert len(named) > 30
    written_by_runs = {"results/"}
    assert [name for name in sorted(named - written_by_runs) if not (ROOT / name).exists()] == []


def in_room(name: str) -> bool:
    """Whether a short path such as ``cli/main.py`` is meant to be one of the harness."""
    return name.split("/")[0].removesuffix(".py") in rows()


@pytest.mark.parametrize("room", [path.stem for path in rooms()])
def test_imports_go_one_way(room: str) -> None:
    order = rows()
    folder = PACKAGE / room
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    used = set().union(*(imports(path) for path in files)) & set(order)
    against = {(room, other) for other in used if order[other] > order[room]}
    assert against <= LATE


def test_plugins_and_harness_keep_apart() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        assert "cerebench_methods" not in path.read_text(encoding="utf-8"), path
        assert "cerebench_datasets" not in path.read_text(encoding="utf-8"), path


def test_versions_named_exist() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    named = set(re.findall(r"`([A-Z]+_VERSION)`", TEXT))
    assert named == set(re.findall(r"^([A-Z]+_VERSION) = \d+$", sources, re.MULTILINE)) - {"SCHEMA_VERSION"}
