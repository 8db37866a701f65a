"""The static manifest ``cerebench.yaml`` of a plugin package: what it provides, readable without importing it.

Read on every listing, so it is checked by hand instead of with pydantic, whose import costs more than the whole read.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cerebench.errors import PluginError
from cerebench.text import did_you_mean

FILE_NAME = "cerebench.yaml"
SCHEMA = 1
SUPPORTED_APIS = (1,)

_NAME = re.compile(r"[a-z0-9][a-z0-9_.:-]*")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")

TASKS = ("anomaly", "lesion-classification")
SUPERVISIONS = ("none", "healthy", "labels")
UNITS = ("slice", "volume", "lesion")
TRAININGS = ("per-modality", "joint", "paired")
INPUTS = ("lesion-mask", "covariates")
COSTS = ("light", "iterative")
LEVELS = ("voxel", "slice", "subject", "lesion")


@dataclass(frozen=True)
class Item:
    """One object that a manifest promises: its name, its ``module:Class`` target and the metadata as written."""

    name: str
    target: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Manifest:
    """A manifest as read. With ``problems`` nothing of it may be used, but its names still tell whose they are.

    Attributes:
        path: the file; ``None`` where there is none.
        api: version of the plugin contract it was written for; ``None`` where it could not be read.
        methods, metrics, simulators, reporters: objects by target.
        cohorts, protocols: files, inside the package's folder.
        problems: sentences, each naming the file and the field.
    """

    path: Path | None
    api: int | None = None
    methods: tuple[Item, ...] = ()
    metrics: tuple[Item, ...] = ()
    simulators: tuple[Item, ...] = ()
    reporters: tuple[Item, ...] = ()
    cohorts: tuple[Path, ...] = ()
    protocols: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """How many objects of each kind, kinds without any left out."""
        kinds = ("methods", "cohorts", "protocols", "metrics", "simulators", "reporters")
        return {kind: len(getattr(self, kind)) for kind in kinds if getattr(self, kind)}


def find_manifest(module: str) -> Path:
    """The manifest beside the top-level package of a module, without importing anything.

    For a namespace package the first regular package on the way to the module counts.

    Raises:
        PluginError: the package is not installed, is a single file, or has no manifest.
    """
    top, *rest = module.split(".")
    try:
        spec: importlib.machinery.ModuleSpec | None = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError) as error:
        raise PluginError(f"package {top!r} cannot be looked up: {type(error).__name__}: {error}") from error
    if spec is None:
        raise PluginError(
            f"package {top!r} is not installed, though an entry point names it; reinstall the distribution"
        )
    if spec.submodule_search_locations is None:
        raise PluginError(
            f"{top!r} is a single file; make it a package, so that {FILE_NAME} can lie beside its __init__.py"
        )
    folders = [Path(location) for location in spec.submodule_search_locations]
    if spec.origin is None:
        folders += [location.joinpath(*rest[:depth]) for location in folders for depth in range(1, len(rest) + 1)]
    for folder in folders:
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise PluginError(f"package {top!r} has no {FILE_NAME} in {folders[0]}; ship one as package data (docs/plugins.md)")


def read_yaml(path: Path) -> Any:
    """Parse a YAML file safely.

    Raises:
        PluginError: unreadable, or not YAML; names file and line.
    """
    import yaml

    from cerebench.yamlio import parse_yaml

    try:
        return parse_yaml(path.read_bytes())
    except OSError as error:
        raise PluginError(f"{path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise PluginError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from error


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest. Never raises for its content: see :attr:`Manifest.problems`."""
    try:
        raw = read_yaml(path)
    except PluginError as error:
        return Manifest(path, problems=(str(error),))
    return _Reader(path).read(raw)


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "expected text"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "expected true or false"


def _name(value: Any) -> str | None:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return None
    return "expected lower-case letters, digits and hyphens"


def _target(value: Any) -> str | None:
    return None if isinstance(value, str) and _TARGET.fullmatch(value) else "expected 'module:Class'"


def _one_of(words: Sequence[str]) -> Callable[[Any], str | None]:
    return lambda value: None if value in words else f"expected {' or '.join(words)}"


def _words(known: Sequence[str] | None = None) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            return "expected a list of words"
        unknown = [word for word in value if known and word not in known]
        return f"expected words of: {', '.join(known or ())}" if unknown else None

    return check


Check = Callable[[Any], str | None]
_METHOD: dict[str, Check] = {
    "name": _name,
    "target": _target,
    "summary": _text,
    "task": _one_of(TASKS),
    "supervision": _one_of(SUPERVISIONS),
    "modalities": _words(),
    "unit": _one_of(UNITS),
    "training": _one_of(TRAININGS),
    "inputs": _words(INPUTS),
    "citation": _text,
    "reimplementation": _flag,
    "cost": _one_of(COSTS),
}
_METRIC: dict[str, Check] = {
    "name": _name,
    "target": _target,
    "summary": _text,
    "levels": _words(LEVELS),
    "higher_is_better": _flag,
}
_SIMULATOR: dict[str, Check] = {"name": _name, "target": _target, "summary": _text}
_REPORTER = _SIMULATOR
_REQUIRED = {
    "methods": ("name", "target", "summary", "task", "supervision", "modalities", "unit"),
    "metrics": ("name", "target", "summary", "levels", "higher_is_better"),
    "simulators": ("name", "target"),
    "reporters": ("name", "target", "summary"),
}
_OBJECTS = {"methods": _METHOD, "metrics": _METRIC, "simulators": _SIMULATOR, "reporters": _REPORTER}
_FILES = {"cohorts": "card", "protocols": "file"}
_TOP = ("schema", "api", *_OBJECTS, *_FILES)


class _Reader:
    """Collects the problems of one manifest while it reads on, so that one run shows all of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []

    def fault(self, text: str) -> None:
        self.problems.append(f"{self.path}: {text}")

    def read(self, raw: Any) -> Manifest:
        if not isinstance(raw, dict):
            self.fault(f"expected fields ({', '.join(_TOP)}), found {type(raw).__name__}")
            return Manifest(self.path, problems=tuple(self.problems))
        for key in raw:
            if key not in _TOP:
                self.fault(f"unknown field {key!r}: {did_you_mean(str(key), _TOP)}")
        if raw.get("schema") != SCHEMA:
            self.fault(f"schema is {raw.get('schema')!r}, expected {SCHEMA}")
        api = raw.get("api")
        if not isinstance(api, int) or isinstance(api, bool):
            self.fault(f"api is {api!r}, expected a whole number, such as {SUPPORTED_APIS[-1]}")
            api = None
        objects = {kind: self._objects(kind, raw) for kind in _OBJECTS}
        files = {kind: self._files(kind, raw) for kind in _FILES}
        return Manifest(self.path, api=api, **objects, **files, problems=tuple(self.problems))  # type: ignore[arg-type]

    def _rows(self, kind: str, raw: dict[Any, Any]) -> list[tuple[str, dict[Any, Any]]]:
        rows = raw.get(kind, [])
        if not isinstance(rows, list):
            self.fault(f"{kind} is {type(rows).__name__}, expected a list")
            return []
        good = []
        for index, row in enumerate(rows):
            if isinstance(row, dict):
                good.append((f"{kind}[{index}]", row))
            else:
                self.fault(f"{kind}[{index}] is {row!r}, expected fields")
        return good

    def _objects(self, kind: str, raw: dict[Any, Any]) -> tuple[Item, ...]:
        checks = _OBJECTS[kind]
        items: dict[str, Item] = {}
        for place, row in self._rows(kind, raw):
            name = row.get("name")
            label = f"{place} ({name})" if isinstance(name, str) else place
            for key in _REQUIRED[kind]:
                if key not in row:
                    self.fault(f"{label} lacks {key!r}")
            for key, value in row.items():
                if key not in checks:
                    self.fault(f"{label} has an unknown field {key!r}: {did_you_mean(str(key), checks)}")
                elif (expected := checks[key](value)) is not None:
                    self.fault(f"{label}: {key} is {value!r}, {expected}")
            if isinstance(name, str) and name in items:
                self.fault(f"{label} is listed twice")
            elif isinstance(name, str):
                items[name] = Item(name, str(row.get("target", "")), row)
        return tuple(items.values())

    def _files(self, kind: str, raw: dict[Any, Any]) -> tuple[Path, ...]:
        field = _FILES[kind]
        folder = self.path.parent.resolve()
        paths: list[Path] = []
        for place, row in self._rows(kind, raw):
            value = row.get(field)
            if set(row) != {field} or not isinstance(value, str) or not value:
                self.fault(f"{place} is {row!r}, expected one field {field!r} with a path relative to the manifest")
                continue
            path = (folder / value).resolve()
            if not path.is_relative_to(folder):
                self.fault(f"{place}: {field} {value!r} leaves the package's folder {folder}; keep the file inside")
            elif path in paths:
                self.fault(f"{place}: {field} {value!r} is listed twice")
            else:
                paths.append(path)
        return tuple(paths)
