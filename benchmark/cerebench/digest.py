"""What code made a number: digests of a method's sources, versions of libraries, the git revision."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from cerebench.errors import PluginError

_HARNESS = "cerebench"
_MANIFEST = "cerebench.yaml"


def code_digest(target: str | type[Any]) -> str:
    """SHA-256 (64 hex digits) of the sources behind a class, given itself or as ``"module:Class"`` (then not imported).

    Counted are the class's module and, transitively, what these modules import from the same top-level package or from
    another package with a cerebench manifest; a class's bases are among them. So an edit of one method leaves another's
    digest alone unless the other imports it. The harness and libraries are left out: record their versions beside the
    digest (:func:`library_versions`). The ``__init__.py`` of packages on the way counts, but not what it imports,
    except where a name is imported from it. Data files and computed module names are not seen.

    Raises:
        PluginError: no source file can be found.
    """
    if isinstance(target, str):
        start = [target.partition(":")[0]]
        own = start[0].partition(".")[0]
    else:
        own = target.__module__.partition(".")[0]
        start = [base.__module__ for base in target.__mro__ if _counts(base.__module__, own)]
    sources = _closure(start, own)
    if not sources:
        raise PluginError(f"no source file is found for {target!r}; a method has to come from an installed package")
    whole = hashlib.sha256()
    for name in sorted(sources):
        content = hashlib.sha256(sources[name].read_bytes()).hexdigest()
        whole.update(f"{name}\0{content}\n".encode())
    return whole.hexdigest()


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of installed distributions, sorted by name; ``absent`` where one is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in sorted(names):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def git_revision(path: Path) -> dict[str, Any] | None:
    """``{"commit": str, "dirty": bool}`` of the repository that tracks a file or folder; ``None`` where none does.

    Dirty means that tracked files differ from the commit. A folder that merely lies inside a foreign repository (a
    virtual environment, say) is not tracked by it.
    """
    folder = path if path.is_dir() else path.parent
    if not _git(folder, "ls-files", "--", str(path.resolve())):
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def _git(folder: Path, *arguments: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _closure(start: list[str], own: str) -> dict[str, Path]:
    """Module name → source file, for the starting modules and all that they import and that counts."""
    sources: dict[str, Path] = {}
    waiting = list(start)
    followed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in followed:
            continue
        followed.add(name)
        path = _source(name)
        if path is None:
            continue
        sources[name] = path
        for parent in _parents(name):
            if (package := _source(parent)) is not None:
                sources[parent] = package
        waiting += [module for module in _imports(name, path) if _counts(module, own)]
    return sources


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _counts(module: str, own: str) -> bool:
    top = module.partition(".")[0]
    if top in (_HARNESS, "builtins") or top in sys.stdlib_module_names:
        return False
    return top == own or any((folder / _MANIFEST).is_file() for folder in _roots(top))


def _imports(name: str, path: Path) -> Iterator[str]:
    """Modules that a module imports, wherever in its code; ``from a import b`` gives ``a.b`` if that is one."""
    if path.suffix != ".py":
        return
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise PluginError(f"{path}, line {error.lineno}: not valid Python: {error.msg}") from error
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if _source(inner) is not None else base


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    kept = parts[: len(parts) - (node.level - 1)]
    return ".".join([*kept, node.module] if node.module else kept)


def _source(name: str) -> Path | None:
    """The file of a module, found through folders alone, so that no parent package is imported."""
    top, *rest = name.split(".")
    for root in _roots(top):
        folder = root.joinpath(*rest)
        candidates = [folder / "__init__.py"]
        if rest:
            candidates += [folder.with_name(folder.name + suffix) for suffix in (".py", *EXTENSION_SUFFIXES)]
        for candidate in candidates:
            if candidate.is_file():
                return candidate
    # modules that were loaded from a file under a name of the loader's choice
    loaded = getattr(sys.modules.get(name), "__file__", None)
    spec = None if loaded or rest else _spec(name)
    file = loaded or (spec.origin if spec and spec.has_location else None)
    return Path(file) if file and Path(file).is_file() else None


def _roots(top: str) -> tuple[Path, ...]:
    spec = _spec(top)
    return tuple(Path(place) for place in (spec.submodule_search_locations or ())) if spec else ()


def _spec(top: str) -> Any:
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None
