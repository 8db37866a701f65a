"""The façade over all plugins: listings from manifests, objects on demand. One per run; there is no global registry."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cerebench.errors import PluginError, UsageError
from cerebench.plugins.catalogue import Catalogue
from cerebench.plugins.discovery import STRICT, Plugin, PluginState, discover_plugins
from cerebench.plugins.entries import (
    LOCAL,
    CohortEntry,
    Entry,
    Kind,
    MethodEntry,
    MetricEntry,
    ProtocolEntry,
    ReporterEntry,
    SimulatorEntry,
)
from cerebench.plugins.local import local_cards
from cerebench.plugins.local_methods import is_reference
from cerebench.plugins.patterns import is_glob, matches
from cerebench.text import did_you_mean

if TYPE_CHECKING:
    from cerebench.cohorts.card import Card
    from cerebench.contract.method import Method
    from cerebench.plugins.host import PluginHost, Registered

AnyEntry = TypeVar("AnyEntry", bound=Entry)


class Registry:
    """Everything that can be named on the command line, and how to get at it."""

    def __init__(self, plugins: Sequence[Plugin], cards: Sequence[CohortEntry] = (), strict: bool = False) -> None:
        self._catalogue = Catalogue(plugins, cards)
        self._strict = strict
        self._host: PluginHost | None = None
        self._objects: dict[tuple[Kind, str], Any] = {}
        self._noted: list[str] = []

    @classmethod
    def discover(
        cls, cards: Sequence[Path] = (), environ: Mapping[str, str] | None = None, strict: bool = False
    ) -> Registry:
        """Find every installed plugin and the cards in the given folders (or files). Imports no plugin.

        Args:
            cards: folders of cards, or cards.
            environ: environment; this process's if ``None``.
            strict: any broken plugin is an error, as with ``CEREBENCH_STRICT_PLUGINS=1``.

        Raises:
            UsageError: a folder of cards does not exist, is empty, or reuses a name.
            PluginError: ``strict``, and a plugin is broken.
        """
        environ = os.environ if environ is None else environ
        strict = strict or environ.get(STRICT, "") not in ("", "0")
        registry = cls(discover_plugins(environ), local_cards(cards), strict)
        if cards:
            registry.cohorts()  # a reused name is the user's mistake: say so now
        if registry._strict and (broken := registry.warnings()):
            raise PluginError(f"{broken[0]} (--strict, or {STRICT} is set)")
        return registry

    # --- listings: manifests and cards only -------------------------------------------------------------------------

    def plugins(self) -> list[PluginState]:
        """State of every installed plugin, built-in ones first."""
        return self._catalogue.states()

    def methods(self) -> list[MethodEntry]:
        """Every method in every state, sorted by name."""
        return self._listing("method", MethodEntry)

    def cohorts(self) -> list[CohortEntry]:
        """Every cohort in every state, sorted by name."""
        return self._listing("cohort", CohortEntry)

    def protocols(self) -> list[ProtocolEntry]:
        """Every protocol in every state, sorted by name."""
        return self._listing("protocol", ProtocolEntry)

    def metrics(self) -> list[MetricEntry]:
        """Every metric in every state, sorted by name."""
        return self._listing("metric", MetricEntry)

    def simulators(self) -> list[SimulatorEntry]:
        """Every simulator in every state, sorted by name."""
        return self._listing("simulator", SimulatorEntry)

    def reporters(self) -> list[ReporterEntry]:
        """Every reporter in every state, sorted by name."""
        return self._listing("reporter", ReporterEntry)

    def warnings(self) -> list[str]:
        """One line for each broken plugin, card or method found so far; what was blocked is no warning."""
        states = self.plugins()
        lines = [f"{state.label}: {state.error}" for state in states if state.state not in ("ok", "blocked")]
        broken = {(state.distribution, state.name) for state in states if state.state not in ("ok", "duplicate")}
        lines += [
            f"{entry.name!r} of {entry.source}: {entry.error}"
            for entry in [*self.cohorts(), *self.protocols()]
            if entry.state == "failed" and (entry.source, entry.plugin) not in broken
        ]
        told = tuple(state.label for state in states if state.state == "failed")
        return lines + [line for line in self._noted if line not in lines and not line.startswith(told)]

    def entry(self, kind: Kind, name: str) -> Entry:
        """The usable entry of a name.

        Raises:
            UsageError: no such name; suggests near ones.
            PluginError: the name is known, but its plugin or file is broken, blocked or incompatible.
        """
        return self._usable(kind, name, Entry)

    def select(self, kind: Kind, patterns: str | Sequence[str], load: bool = False) -> list[str]:
        """Names that match ``all``, globs (``*``, ``?``) or exact names, in the order asked for, globs sorted.

        A method may also be named by a file: ``path/to/file.py:MyMethod`` gives the name that its ``info`` says.

        Settings in brackets stay where they are: ``my-*[width=16]`` gives ``["my-method[width=16]"]``.

        Args:
            kind: what to select.
            patterns: one pattern or several.
            load: for methods, also load each one. What was named exactly must load; of what ``all`` or a glob brought
                in, the broken are left out and appear in :meth:`warnings`.

        Raises:
            UsageError: an exact name is unknown, or a glob matches nothing.
            PluginError: a name that was given exactly belongs to a broken plugin.
        """
        chosen: dict[str, None] = {}
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            base, bracket, settings = pattern.partition("[")
            base = "*" if base == "all" else base
            for name in self._matching(kind, base):
                if not load or kind != "method" or self._loads(name, must=not is_glob(base)):
                    chosen[f"{name}{bracket}{settings}"] = None
        return list(chosen)

    # --- objects: import on demand ------------------------------------------------------------------------------------

    def load_method(self, name: str) -> type[Method]:
        """Import a method's class and hold it against its manifest; cached.

        Raises:
            UsageError: unknown name.
            PluginError: its plugin or its module fails, it is no :class:`~cerebench.api.Method`, or class and manifest
                disagree.
        """
        from cerebench.contract.method import Method
        from cerebench.plugins.agreement import method_disagreements

        entry = self._usable("method", name, MethodEntry)
        loaded = self._load("method", entry)
        if entry.source == LOCAL:
            return loaded  # type: ignore[no-any-return]
        if not (isinstance(loaded, type) and issubclass(loaded, Method)):
            raise PluginError(f"{_label(entry)}: {entry.target!r} is not a subclass of cerebench.api.Method")
        differences = method_disagreements(self._catalogue.item(entry), loaded, complete=False)
        if differences:
            raise PluginError(f"{_label(entry)}: class and manifest disagree: {differences[0]}; correct one of them")
        return loaded

    def method_disagreements(self, name: str) -> list[str]:
        """Every field in which a method's class and its manifest differ, wording and omissions included."""
        from cerebench.plugins.agreement import method_disagreements

        entry = self._usable("method", name, MethodEntry)
        if entry.source == LOCAL:
            return []
        return method_disagreements(self._catalogue.item(entry), self._load("method", entry), complete=True)

    def load_metric(self, name: str) -> Any:
        """The object registered for a metric; raises as :meth:`load_method` does."""
        return self._load("metric", self._usable("metric", name, MetricEntry))

    def load_simulator(self, name: str) -> Any:
        """The function registered for a simulator; raises as :meth:`load_method` does."""
        return self._load("simulator", self._usable("simulator", name, SimulatorEntry))

    def load_reporter(self, name: str) -> Any:
        """The class registered for a reporter; raises as :meth:`load_method` does."""
        return self._load("reporter", self._usable("reporter", name, ReporterEntry))

    def card(self, name: str) -> Card:
        """The validated card of a cohort.

        Raises:
            UsageError: unknown name, or a field of the card is wrong.
            PluginError: its plugin fails.
        """
        from cerebench.cohorts.card import load_card

        entry = self._usable("cohort", name, CohortEntry)
        self._registered(entry)
        return load_card(entry.path)

    def protocol_file(self, name: str) -> Path:
        """The file of a protocol.

        Raises:
            UsageError: unknown name.
            PluginError: its plugin fails.
        """
        entry = self._usable("protocol", name, ProtocolEntry)
        self._registered(entry)
        return entry.path

    def load_all(self) -> list[PluginState]:
        """Import every usable plugin's hooks (not what they register) and return the states afterwards."""
        for plugin in self._catalogue.plugins:
            if self._catalogue.status(plugin).state in ("ok", "duplicate"):
                try:
                    self._ask(plugin)
                except PluginError:
                    if self._strict:
                        raise
                    continue  # its state now says why
        return self.plugins()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _listing(self, kind: Kind, form: type[AnyEntry]) -> list[AnyEntry]:
        return [entry for entry in self._catalogue.entries(kind) if isinstance(entry, form)]

    def _usable(self, kind: Kind, name: str, form: type[AnyEntry]) -> AnyEntry:
        if kind == "method" and is_reference(name):
            name, loaded = self._catalogue.local(name)
            self._objects.setdefault(("method", name), loaded)
        known = [entry for entry in self._listing(kind, form) if entry.name == name and entry.state != "duplicate"]
        for entry in known:
            if entry.state == "ok":
                return entry
        if known:
            raise PluginError(f"{kind} {_label(known[0])} cannot be used: {known[0].error}")
        names = [entry.name for entry in self._listing(kind, form) if entry.state == "ok"]
        text = f"unknown {kind} {name!r}: {did_you_mean(name, names)}"
        unread = [state for state in self.plugins() if state.state == "failed" and not state.provides]
        if unread:
            text += f" ({unread[0].label} cannot be read and may hold it: {unread[0].error})"
        raise UsageError(text)

    def _matching(self, kind: Kind, base: str) -> list[str]:
        if not is_glob(base):
            return [self.entry(kind, base).name]
        usable = sorted({entry.name for entry in self._catalogue.entries(kind) if entry.state == "ok"})
        names = [name for name in usable if matches(name, base)]
        if not names:
            raise UsageError(f"no {kind} matches {base!r}: {did_you_mean(base, usable)}")
        return names

    def _loads(self, name: str, must: bool) -> bool:
        try:
            self.load_method(name)
        except PluginError as error:
            if must or self._strict:
                raise
            self._noted.append(str(error))
            return False
        return True

    def _load(self, kind: Kind, entry: MethodEntry | MetricEntry | SimulatorEntry | ReporterEntry) -> Any:
        from cerebench.plugins.host import resolve

        if (kind, entry.name) not in self._objects:
            registered = self._registered(entry)
            target = getattr(registered, f"{kind}s")[entry.name]
            self._objects[kind, entry.name] = resolve(f"{kind} {_label(entry)}", target)
        return self._objects[kind, entry.name]

    def _registered(self, entry: Entry) -> Registered | None:
        owner = self._catalogue.owner(entry)
        return self._ask(owner) if owner else None

    def _ask(self, plugin: Plugin) -> Registered:
        from cerebench.plugins.host import PluginHost

        if self._host is None:
            self._host = PluginHost()
        try:
            return self._host.load(plugin)
        except PluginError as error:
            # the label is what the state's own line begins with
            self._catalogue.fail(plugin, str(error).removeprefix(plugin.status.label).lstrip(": "))
            raise


def _label(entry: Entry) -> str:
    return f"{entry.name!r} of {entry.source} {entry.version}".rstrip()
