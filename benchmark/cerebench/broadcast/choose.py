"""From the words of a request to reporters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from cerebench.errors import PluginError, UsageError
from cerebench.plugins.registry import Registry
from cerebench.reporting.reporter import Reporter
from cerebench.text import parse_selection, split_list


@dataclass(frozen=True)
class Chosen:
    """A reporter and how messages name it."""

    label: str
    reporter: Reporter


def choose_reporters(wanted: str | Sequence[str | Reporter], registry: Registry) -> list[Chosen]:
    """Reporters by name, with settings in brackets, or ready-made.

    Args:
        wanted: text with commas, or a sequence of names and objects.
        registry: where names are looked up.

    Raises:
        UsageError: an unknown name or setting, a package that a reporter requires is not installed, or an object that
            is no reporter.
        PluginError: a reporter belongs to a broken plugin.
    """
    return [
        _chosen(item, registry) for item in dict.fromkeys(split_list(wanted) if isinstance(wanted, str) else wanted)
    ]


def _chosen(item: str | Reporter, registry: Registry) -> Chosen:
    if isinstance(item, Reporter):
        return Chosen(f"reporter {type(item).__qualname__} of {type(item).__module__}", item)
    if not isinstance(item, str):
        raise UsageError(
            f"reporter {item!r}: expected a name or an object of a class derived from cerebench.api.Reporter"
        )
    name, values = parse_selection(item)
    entry = registry.entry("reporter", name)
    label = f"reporter {name!r} of {entry.source} {entry.version}".rstrip()
    loaded = registry.load_reporter(name)
    if not (isinstance(loaded, type) and issubclass(loaded, Reporter)):
        raise PluginError(f"{label}: its target is not a subclass of cerebench.api.Reporter")
    for package, requirement in loaded.requires.items():
        if find_spec(package) is None:
            raise UsageError(
                f"{label} needs the package {package}, which is not installed: pip install '{requirement}'"
            )
    settings = loaded.settings_for(name, values)
    try:
        return Chosen(label, loaded(settings))
    except Exception as error:
        raise PluginError(f"{label} cannot be made: {type(error).__name__}: {error}") from error
