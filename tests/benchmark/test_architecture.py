"""The house's arrows: what may import what, and that the harness knows no plugin by name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HARNESS = ROOT / "benchmark" / "cerebench"
PLUGINS = {"cerebench_methods": ROOT / "methods", "cerebench_datasets": ROOT / "datasets"}
PUBLIC = (
    *("cerebench.api", "cerebench.training", "cerebench.testing", "cerebench.scoring"),
    *(f"cerebench.training.{name}" for name in ("batches", "canvas", "losses", "slicewise")),
)


def modules(folder: Path) -> dict[str, Path]:
    """Dotted name → file of every module below a source root."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def statements(path: Path, late: bool) -> Iterator[ast.stmt]:
    """Statements run at import, or all; those for type checkers never run and are left out in both cases."""

    def walk(body: list[ast.stmt]) -> Iterator[ast.stmt]:
        for node in body:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            yield node
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for part in ("body", "orelse", "finalbody"):
                if not inside or late:
                    yield from walk(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from walk(handler.body)

    yield from walk(tree(path).body)


def imports(name: str, path: Path, known: dict[str, Path], late: bool = False) -> set[str]:
    """Names of the modules that a module imports; ``from package import module`` gives the module."""
    found: set[str] = set()
    for node in statements(path, late):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative imports hide where an arrow leads"
            base = node.module or ""
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names}
    return found - {name}


ALL = modules(ROOT / "benchmark")


def room(module: str) -> str:
    """First folder or module below ``cerebench``; ``""`` for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def rows() -> dict[str, int]:
    """Room → row of the table in ``docs/architecture.md``."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    found: dict[str, int] = {}
    for number, cell in re.findall(r"^\| (\d+) \| ([^|]+) \|", page, flags=re.MULTILINE):
        found |= {name.removesuffix("/").removesuffix(".py"): int(number) for name in re.findall(r"`([^`]+)`", cell)}
    return found


def test_the_parser_sees_late_and_conditional_imports(tmp_path):
    path = tmp_path / "m.py"
    path.write_text(
        "import a\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import never\n"
        "try:\n    import b\nexcept ImportError:\n    import c\ndef f():\n    with x:\n        import d.e\n"
    )
    assert imports("m", path, {}) == {"a", "typing", "b", "c"}
    assert imports("m", path, {}, late=True) == {"a", "typing", "b", "c", "d.e"}


def test_every_room_stands_in_the_table_of_the_architecture_page():
    assert set(rows()) == {room(name) for name in ALL} - {""}


@pytest.mark.parametrize("late", [False, True], ids=["at import", "inside functions too"])
def test_imports_never_lead_to_a_lower_row(late):
    row = rows()
    against = {
        (name.partition(".")[2], room(target))
        for name, path in ALL.items()
        if room(name)
        for target in imports(name, path, ALL, late)
        if target.startswith("cerebench.") and row[room(target)] > row[room(name)]
    }
    assert against == set()


def test_no_import_cycle():
    graph = {name: {target for target in imports(name, path, ALL) if target in ALL} for name, path in ALL.items()}
    for name, targets in graph.items():
        targets.discard("cerebench")  # the package's own file imports nothing at first
        assert name not in targets
    assert not {target for target in graph["cerebench"] if room(target)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' → '.join(error.args[1])}")


def test_the_harness_imports_no_built_in_plugin():
    guilty = {
        name
        for name, path in ALL.items()
        for target in imports(name, path, ALL, late=True)
        if target.partition(".")[0] in PLUGINS
    }
    assert guilty == set()


@pytest.mark.parametrize("package", sorted(PLUGINS))
def test_built_in_plugins_import_public_names_only(package):
    mine = modules(PLUGINS[package])
    assert len(mine) > 1
    guilty = {
        (name, target)
        for name, path in mine.items()
        for target in imports(name, path, {**ALL, **mine}, late=True)
        if (target == "cerebench" or target.startswith("cerebench.")) and target not in PUBLIC
    }
    assert guilty == set()
    others = set(PLUGINS) - {package}
    assert not {t for name, path in mine.items() for t in imports(name, path, mine, True) if t.split(".")[0] in others}


def names() -> set[str]:
    """Public names of built-in methods and cohorts."""
    from cerebench.plugins.registry import Registry

    registry = Registry.discover([])
    found = {name for kind in ("method", "cohort") for name in registry.select(kind, ["*"])}
    assert {"ixi", "mslub", "intensity-threshold", "autoencoder"} <= found
    return found


def literals(path: Path) -> Iterator[str]:
    """String constants that are no docstring."""
    whole = tree(path)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(whole)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(whole):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_the_harness_knows_no_method_and_no_cohort_by_name():
    words = re.compile(rf"(?<![\w-])({'|'.join(sorted(map(re.escape, names())))})(?![\w-])")
    assert words.search("if method == 'ixi'")
    guilty = {(name, text) for name, path in ALL.items() for text in literals(path) if words.search(text)}
    assert guilty == set()


def test_importing_the_public_names_brings_no_heavy_library():
    import subprocess
    import sys

    heavy = ("torch", "monai", "scipy", "pandas", "sklearn", "nilearn", "numba", "nibabel", "pyarrow")
    code = f"import sys, cerebench.api, cerebench.cli.main; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
