"""From the words of a request to methods and cohorts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cerebench.errors import BenchError, UsageError
from cerebench.plugins.entries import LOCAL
from cerebench.plugins.local_methods import is_reference
from cerebench.plugins.registry import Registry
from cerebench.protocol import Protocol
from cerebench.request import Display
from cerebench.text import did_you_mean, parse_selection, split_list

if TYPE_CHECKING:
    from cerebench.contract.method import Method
    from cerebench.plan.model import Selected


def patterns(value: str | Sequence[str]) -> list[str]:
    """Patterns of a comma-separated text, or of a sequence."""
    return split_list(value) if isinstance(value, str) else list(value)


def select_cohorts(wanted: str | Sequence[str], registry: Registry, display: Display) -> list[str]:
    """Selected cohorts; one that only a glob brought in is left out with a warning if its card is malformed.

    Raises:
        UsageError: an unknown name, or a malformed card that was named.
    """
    asked = patterns(wanted)
    chosen = []
    for name in registry.select("cohort", asked):
        try:
            registry.card(name)
        except BenchError as error:
            if name in asked:
                raise
            display.warn(f"cohort {name!r} is left out: {error}")
            continue
        chosen.append(name)
    return chosen


def choose_methods(
    wanted: str | Sequence[str],
    wanted_protocols: str | Sequence[str],
    protocols: Sequence[str],
    registry: Registry,
    display: Display,
) -> dict[str, list[Selected]]:
    """Protocol → selected methods of its task with their settings; ``variant=NAME`` stands for a named configuration.

    A protocol that only a glob brought in is left out if no selected method does its task. A method that only a glob
    brought in is left out with a warning if a package that it requires is not installed.

    Raises:
        UsageError: an unknown name, setting or variant; a method that was named does no selected protocol's task, or
            not that of a protocol that was named, or misses a package.
        PluginError: a method that was named belongs to a broken plugin.
    """
    from cerebench.protocol import load_protocol

    asked, named = patterns(wanted), set(patterns(wanted_protocols))
    bases = [pattern.partition("[")[0] for pattern in asked]
    exact = {registry.entry("method", base).name if is_reference(base) else base for base in bases}
    documents = {name: load_protocol(registry.protocol_file(name)) for name in protocols}
    chosen: dict[str, list[Selected]] = {name: [] for name in protocols}
    missing: dict[tuple[str, str], list[str]] = {}
    for text in registry.select("method", asked, load=True):
        name, overrides = parse_selection(text)
        cls = registry.load_method(name)
        values = _settings(cls, overrides)
        lacks = next((item for item in cls.info.requires.items() if find_spec(item[0]) is None), None)
        fitting = [title for title, document in documents.items() if document.task == cls.info.task]
        if name in exact:
            _refuse(cls, documents, set(fitting), named)
            if lacks:
                raise UsageError(_missing([name], *lacks))
        elif fitting and lacks:
            missing.setdefault(lacks, []).append(name)
            continue
        words = ",".join(f"{key}={value}" for key, value in sorted(overrides.items()))
        for title in fitting:
            cls.settings_for(documents[title].default_preset, values)
            chosen[title].append(_selected(cls, values, words, registry))
    for (package, requirement), names in missing.items():
        display.warn(f"left out: {_missing(names, package, requirement)}")
    found = {title: methods for title, methods in chosen.items() if methods or title in named}
    if not found:
        tasks = ", ".join(f"{title} ({document.task})" for title, document in documents.items())
        raise UsageError(f"no selected method does the task of a selected protocol: {tasks}; see `bench list methods`")
    return found


def _selected(cls: type[Method], values: dict[str, Any], words: str, registry: Registry) -> Selected:
    from cerebench.plan.model import Selected

    entry = registry.entry("method", cls.info.name)
    if entry.source != LOCAL:
        return Selected(cls, values, words)
    target = getattr(entry, "target", "")
    return Selected(cls, values, ",".join(filter(None, [words, LOCAL])), f"{target}#{entry.version}")


def _refuse(cls: type[Method], documents: dict[str, Protocol], fitting: set[str], named: set[str]) -> None:
    """Raise if a method that was named does not fit a protocol that was named, or none that was selected."""
    others = [title for title in documents if title not in fitting and (title in named or not fitting)]
    if others:
        raise UsageError(
            f"method {cls.info.name!r} does {cls.info.task}, protocol {others[0]!r} asks for "
            f"{documents[others[0]].task}; choose another protocol or method"
        )


def _missing(names: Sequence[str], package: str, wanted_by_pip: str) -> str:
    need = f"method {names[0]} needs" if len(names) == 1 else f"methods {', '.join(names)} need"
    return f"{need} the package {package}, which is not installed: pip install '{wanted_by_pip}'"


def _settings(cls: type[Method], overrides: dict[str, Any]) -> dict[str, Any]:
    """Overrides with a named configuration spelt out."""
    if "variant" not in overrides or "variant" in cls.Settings.model_fields:
        return overrides
    name = str(overrides["variant"])
    if name not in cls.variants:
        raise UsageError(f"method {cls.info.name!r} has no variant {name!r}: {did_you_mean(name, cls.variants)}")
    rest = {key: value for key, value in overrides.items() if key != "variant"}
    return {**cls.variants[name], **rest}
