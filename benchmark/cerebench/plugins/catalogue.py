"""Every public name of every plugin with its state, built from manifests and cards; each name belongs to one plugin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cerebench.errors import UsageError
from cerebench.plugins import entries
from cerebench.plugins.discovery import Plugin, PluginState
from cerebench.plugins.entries import CohortEntry, Entry, Kind, MethodEntry
from cerebench.plugins.local_methods import load_local, read_reference
from cerebench.plugins.manifest import Item

if TYPE_CHECKING:
    from cerebench.contract.method import Method

KINDS: tuple[Kind, ...] = ("method", "cohort", "protocol", "metric", "simulator", "reporter")

_MAKERS: dict[Kind, Any] = {
    "method": entries.method_entry,
    "cohort": entries.cohort_entry,
    "protocol": entries.protocol_entry,
    "metric": entries.metric_entry,
    "simulator": entries.simulator_entry,
    "reporter": entries.reporter_entry,
}


class Catalogue:
    """Entries by kind, built when first asked for, and the states of the plugins behind them."""

    def __init__(self, plugins: Sequence[Plugin], cards: Sequence[CohortEntry]) -> None:
        self.plugins = tuple(plugins)
        self._cards = tuple(cards)
        self._built: dict[Kind, list[Entry]] = {}
        self._locals: dict[str, tuple[str, type[Method]]] = {}
        self._failures: dict[str, str] = {}
        self._duplicates: dict[str, str] = {}

    def entries(self, kind: Kind) -> list[Entry]:
        """Every entry of a kind in every state, sorted by name, the owner of a name before its duplicates.

        Raises:
            UsageError: a local card reuses a name.
        """
        if kind not in self._built:
            self._built[kind] = self._build(kind)
        current = [self._current(entry) for entry in self._built[kind]]
        return sorted(current, key=lambda entry: (entry.name, entry.state == "duplicate"))

    def states(self) -> list[PluginState]:
        """State of every plugin, once all names are known."""
        for kind in KINDS:
            self.entries(kind)
        return [self.status(plugin) for plugin in self.plugins]

    def status(self, plugin: Plugin) -> PluginState:
        """State of a plugin as known by now."""
        label = plugin.status.label
        if label in self._failures:
            return replace(plugin.status, state="failed", error=self._failures[label])
        if plugin.status.state == "ok" and label in self._duplicates:
            return replace(plugin.status, state="duplicate", error=self._duplicates[label])
        return plugin.status

    def fail(self, plugin: Plugin, error: str) -> None:
        """Note that a plugin failed after its manifest had been read."""
        self._failures.setdefault(plugin.status.label, error)

    def local(self, text: str) -> tuple[str, type[Method]]:
        """Take in a method from a local file, once; returns its public name and its class.

        Raises:
            UsageError: no such file or class, or its name belongs to another method.
            PluginError: the file cannot be imported.
        """
        if text not in self._locals:
            entry, loaded = load_local(read_reference(text))
            if entry not in self.entries("method"):
                self._add(entry)
            self._locals[text] = entry.name, loaded
        return self._locals[text]

    def owner(self, entry: Entry) -> Plugin | None:
        """The plugin behind an entry; ``None`` for local files."""
        for plugin in self.plugins:
            if plugin.status.name == entry.plugin and plugin.status.distribution == entry.source:
                return plugin
        return None

    def item(self, entry: Entry) -> Item:
        """A method's lines in the manifest."""
        owner = self.owner(entry)
        items = owner.manifest.methods if owner else ()
        return next(item for item in items if item.name == entry.name)

    def _add(self, entry: MethodEntry) -> None:
        known = next((one for one in self.entries("method") if one.name == entry.name and one.state == "ok"), None)
        if isinstance(known, MethodEntry):
            owner = known.target if known.source == entries.LOCAL else known.source
            raise UsageError(
                f"{entry.target}: method {entry.name!r} is already provided by {owner}; give the local one another name"
            )
        self._built["method"].append(entry)

    def _current(self, entry: Entry) -> Entry:
        owner = self.owner(entry)
        if owner and entry.state == "ok" and owner.status.label in self._failures:
            return replace(entry, state="failed", error=self._failures[owner.status.label])
        return entry

    def _build(self, kind: Kind) -> list[Entry]:
        taken: dict[str, Entry] = {}
        built: list[Entry] = []
        for plugin in self.plugins:
            status = plugin.status
            common = {
                "source": status.distribution,
                "version": status.version,
                "plugin": status.name,
                "state": status.state,
                "error": status.error,
            }
            for item in getattr(plugin.manifest, f"{kind}s"):
                entry: Entry = _MAKERS[kind](item, **common)
                if entry.state == "ok" and entry.name in taken:
                    first = taken[entry.name]
                    error = f"{kind} {entry.name!r} is already provided by {first.source}; block one of the two"
                    self._duplicates.setdefault(status.label, error)
                    entry = replace(entry, state="duplicate", error=error)
                elif entry.state == "ok":
                    taken[entry.name] = entry
                built.append(entry)
        if kind == "cohort":
            built += self._local(taken)
        return built

    def _local(self, taken: dict[str, Entry]) -> tuple[CohortEntry, ...]:
        names: dict[str, str] = {name: f"{entry.source}" for name, entry in taken.items()}
        for card in self._cards:
            if card.name in names:
                raise UsageError(
                    f"{card.path}: cohort {card.name!r} is already provided by {names[card.name]}; "
                    "give the local card another name"
                )
            names[card.name] = str(card.path)
        return self._cards
