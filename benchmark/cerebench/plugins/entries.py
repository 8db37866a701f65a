"""What a listing knows of one method, cohort, protocol, metric, simulator or reporter: plain data, nothing imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cerebench.errors import PluginError
from cerebench.plugins.discovery import State
from cerebench.plugins.manifest import Item, read_yaml

Kind = Literal["method", "cohort", "protocol", "metric", "simulator", "reporter"]
Available = Literal["real", "in-silico", "none"]

LOCAL = "local"
MARKER = "cerebench-insilico.json"
"""File that marks a cohort's folder as written by a simulator."""


@dataclass(frozen=True)
class Entry:
    """One public name.

    Attributes:
        name: public name, unique within its kind among entries whose state is ``ok``.
        summary: one sentence.
        source: distribution that brings it, or ``local``.
        version: version of that distribution.
        plugin: entry point of the plugin; empty for local files.
        state: state of this entry; see :class:`~cerebench.plugins.discovery.PluginState`.
        error: one sentence, empty where the state is ``ok``.
    """

    name: str
    summary: str
    source: str
    version: str
    plugin: str
    state: State
    error: str


@dataclass(frozen=True)
class MethodEntry(Entry):
    """A method, as its manifest describes it; the fields are those of :class:`cerebench.api.MethodInfo`."""

    target: str
    task: str
    supervision: str
    unit: str
    training: str
    modalities: tuple[str, ...]
    inputs: tuple[str, ...]
    citation: str
    reimplementation: bool
    cost: str


@dataclass(frozen=True)
class CohortEntry(Entry):
    """A cohort, as far as its card tells without validation."""

    path: Path
    title: str
    modalities: tuple[str, ...]
    healthy: bool | str
    licence: str
    folders: tuple[str, ...]
    simulated: bool

    def available(self, data_root: Path | None) -> Available:
        """Where its images would come from: a folder of the data root, its simulator, or nowhere.

        Looks at folder names only; ``bench data status`` reads the files. A folder that a simulator wrote is in silico.
        """
        folder = self._folder(data_root) if data_root else None
        if folder and not (folder / MARKER).exists():
            return "real"
        return "in-silico" if folder or self.simulated else "none"

    def _folder(self, data_root: Path) -> Path | None:
        wanted = [folder.lower() for folder in self.folders]
        candidates = sorted(path for path in data_root.iterdir() if path.name.lower() in wanted)
        if data_root.name.lower() in wanted:
            candidates.append(data_root)
        return next((path for path in candidates if path.is_dir() and any(path.iterdir())), None)


@dataclass(frozen=True)
class ProtocolEntry(Entry):
    """A protocol, as far as its file tells without validation."""

    path: Path
    protocol_version: int | str
    title: str


@dataclass(frozen=True)
class MetricEntry(Entry):
    """A metric, as its manifest describes it."""

    target: str
    levels: tuple[str, ...]
    higher_is_better: bool


@dataclass(frozen=True)
class SimulatorEntry(Entry):
    """A generator of in-silico cohorts."""

    target: str


@dataclass(frozen=True)
class ReporterEntry(Entry):
    """A reporter of runs, as its manifest describes it."""

    target: str


def method_entry(item: Item, **common: Any) -> MethodEntry:
    """The listing of a method; fields that a faulty manifest lacks are empty."""
    data = item.data
    return MethodEntry(
        name=item.name,
        summary=_str(data, "summary"),
        target=item.target,
        task=_str(data, "task"),
        supervision=_str(data, "supervision"),
        unit=_str(data, "unit"),
        training=_str(data, "training", "per-modality"),
        modalities=_strs(data, "modalities"),
        inputs=_strs(data, "inputs"),
        citation=_str(data, "citation"),
        reimplementation=data.get("reimplementation") is True,
        cost=_str(data, "cost", "light"),
        **common,
    )


def metric_entry(item: Item, **common: Any) -> MetricEntry:
    """The listing of a metric."""
    return MetricEntry(
        name=item.name,
        summary=_str(item.data, "summary"),
        target=item.target,
        levels=_strs(item.data, "levels"),
        higher_is_better=item.data.get("higher_is_better") is not False,
        **common,
    )


def simulator_entry(item: Item, **common: Any) -> SimulatorEntry:
    """The listing of a simulator."""
    return SimulatorEntry(name=item.name, summary=_str(item.data, "summary"), target=item.target, **common)


def reporter_entry(item: Item, **common: Any) -> ReporterEntry:
    """The listing of a reporter."""
    return ReporterEntry(name=item.name, summary=_str(item.data, "summary"), target=item.target, **common)


def cohort_entry(path: Path, **common: Any) -> CohortEntry:
    """The listing of a card. A card that cannot be read is listed under its file's name, as failed."""
    data, common = _peek(path, common)
    name = _str(data, "name", path.stem)
    healthy = data.get("healthy", False)
    return CohortEntry(
        name=name,
        summary=_str(data, "summary"),
        path=path,
        title=_str(data, "title", name),
        modalities=_strs(data, "modalities"),
        healthy=healthy if isinstance(healthy, (bool, str)) else False,
        licence=_str(data, "licence"),
        folders=_strs(data, "folders") or (name,),
        simulated=isinstance(data.get("simulate"), dict),
        **common,
    )


def protocol_entry(path: Path, **common: Any) -> ProtocolEntry:
    """The listing of a protocol."""
    data, common = _peek(path, common)
    name = _str(data, "name", path.stem)
    version = data.get("version", "")
    return ProtocolEntry(
        name=name,
        summary=_str(data, "summary"),
        path=path,
        protocol_version=version if isinstance(version, (int, str)) else "",
        title=_str(data, "title", name),
        **common,
    )


def _peek(path: Path, common: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        data = read_yaml(path)
        if not isinstance(data, dict):
            raise PluginError(f"{path}: expected fields, found {type(data).__name__}")
    except PluginError as error:
        state = common["state"] if common["state"] != "ok" else "failed"
        return {}, {**common, "state": state, "error": common["error"] or str(error)}
    return data, common


def _str(data: Any, key: str, default: str = "") -> str:
    value = data.get(key)
    return value if isinstance(value, str) else default


def _strs(data: Any, key: str) -> tuple[str, ...]:
    value = data.get(key)
    return tuple(str(part) for part in value) if isinstance(value, list) else ()
