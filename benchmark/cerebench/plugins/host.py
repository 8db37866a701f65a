"""Imports one plugin at a time and asks its hooks what it registers; whatever goes wrong becomes one sentence."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

import pluggy

from cerebench.errors import PluginError
from cerebench.plugins import hookspecs
from cerebench.plugins.discovery import Plugin


@dataclass
class Registered:
    """What the hooks of one plugin registered."""

    methods: dict[str, hookspecs.Target] = field(default_factory=dict)
    metrics: dict[str, hookspecs.Target] = field(default_factory=dict)
    simulators: dict[str, hookspecs.Target] = field(default_factory=dict)
    reporters: dict[str, hookspecs.Target] = field(default_factory=dict)
    cohorts: list[Path] = field(default_factory=list)
    protocols: list[Path] = field(default_factory=list)


class PluginHost:
    """Holds the plugins that were loaded so far. One belongs to one registry; nothing is shared."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._loaded: dict[str, Registered | PluginError] = {}

    def load(self, plugin: Plugin) -> Registered:
        """Import a plugin, call its registering hooks and hold them against its manifest. Done once; cached.

        Raises:
            PluginError: import or a hook failed, an unknown hook, or hooks and manifest disagree.
        """
        label = plugin.status.label
        if label not in self._loaded:
            try:
                self._loaded[label] = self._load(plugin)
            except PluginError as error:
                self._loaded[label] = error
        outcome = self._loaded[label]
        if isinstance(outcome, PluginError):
            raise outcome
        return outcome

    def _load(self, plugin: Plugin) -> Registered:
        label = plugin.status.label
        module = guarded(label, "cannot be imported", plugin.entry_point.load)
        try:
            name = guarded(label, "cannot be registered", lambda: self._manager.register(module, name=label))
            guarded(label, "uses a hook that cerebench does not have", self._manager.check_pending)
            registered = self._collect(label, name)
            differences = disagreements(plugin, registered)
            if differences:
                raise PluginError(
                    f"{label}: {differences[0]}; bring {plugin.manifest.path} and the hooks into agreement"
                )
        except PluginError:
            # pluggy keeps what it has already taken of a plugin that fails half-way
            if self._manager.has_plugin(label):
                self._manager.unregister(name=label)
            raise
        return registered

    def _collect(self, label: str, name: Any) -> Registered:
        registered = Registered()
        others = [plugin for key, plugin in self._manager.list_name_plugin() if key != name and plugin is not None]
        for kind in ("methods", "metrics", "simulators", "reporters"):
            self._call(label, f"bench_register_{kind}", others, _register_target(getattr(registered, kind), kind))
        for kind in ("cohorts", "protocols"):
            self._call(label, f"bench_register_{kind}", others, _register_file(getattr(registered, kind)))
        return registered

    def _call(self, label: str, name: str, others: list[Any], register: Callable[..., None]) -> None:
        hook = self._manager.subset_hook_caller(name, others)
        guarded(label, f"failed in {name}", lambda: hook(register=register))


def guarded(label: str, what: str, call: Callable[[], Any]) -> Any:
    """Call foreign code; whatever it raises becomes a :class:`PluginError` of one sentence.

    ``SystemExit`` counts as a failure: a plugin must not end the program.
    """
    try:
        return call()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{label} {what}: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """Type, first line and origin of an exception: ``ImportError: no torch (plugin.py, line 3)``."""
    lines = str(error).strip().splitlines()
    telling = -1 if isinstance(error, pluggy.PluginValidationError) else 0  # pluggy ends with the cause
    text = f"{type(error).__name__}: {lines[telling]}" if lines else type(error).__name__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{text.partition(' (')[0]} ({Path(error.filename).name}, line {error.lineno})"
    own = [frame for frame in frames if Path(frame.filename).parent != Path(__file__).parent]
    if own and Path(own[-1].filename).parent.name not in ("importlib", "metadata", "pluggy"):
        text += f" ({Path(own[-1].filename).name}, line {own[-1].lineno})"
    return text


def resolve(label: str, target: hookspecs.Target) -> Any:
    """The object behind ``"module:Class"``; an object is returned as it is.

    Raises:
        PluginError: the module cannot be imported, or holds no such name.
    """
    if not isinstance(target, str):
        return target
    module_name, _, path = target.partition(":")
    found = guarded(label, f"cannot import {module_name!r}", lambda: import_module(module_name))
    for part in path.split("."):
        if not hasattr(found, part):
            raise PluginError(f"{label}: module {module_name!r} has no {path!r}, though it is registered as {target!r}")
        found = getattr(found, part)
    return found


def target_text(target: hookspecs.Target) -> str:
    """``module:Class`` of a target given either way."""
    return target if isinstance(target, str) else f"{target.__module__}:{target.__qualname__}"


def disagreements(plugin: Plugin, registered: Registered) -> list[str]:
    """Where the hooks of a plugin and its manifest say different things."""
    found = []
    for kind in ("methods", "metrics", "simulators", "reporters"):
        listed = {item.name: item.target for item in getattr(plugin.manifest, kind)}
        hooked = {name: target_text(target) for name, target in getattr(registered, kind).items()}
        for name in sorted(listed.keys() ^ hooked.keys()):
            where = "only the manifest lists" if name in listed else "only a hook registers"
            found.append(f"{kind}: {where} {name!r}")
        found += [
            f"{kind}: {name!r} is {listed[name]!r} in the manifest, {hooked[name]!r} in the hook"
            for name in sorted(listed.keys() & hooked)
            if listed[name] != hooked[name]
        ]
    for kind in ("cohorts", "protocols"):
        files, given = set(getattr(plugin.manifest, kind)), set(getattr(registered, kind))
        for path in sorted(files ^ given):
            where = "only the manifest lists" if path in files else "only a hook registers"
            found.append(f"{kind}: {where} {path}")
    return found


def _register_target(into: dict[str, hookspecs.Target], kind: str) -> hookspecs.RegisterTarget:
    def register(name: str, target: hookspecs.Target) -> None:
        if not isinstance(name, str) or not isinstance(target, (str, type)):
            raise TypeError(f"register({name!r}, {target!r}): expected a name and 'module:Class' or a class")
        if name in into:
            raise ValueError(f"{name!r} is registered twice among the {kind}")
        into[name] = target

    return register


def _register_file(into: list[Path]) -> hookspecs.RegisterFile:
    def register(path: str | PathLike[str]) -> None:
        into.append(Path(path).resolve())

    return register
