"""Which plugins are installed, which of them may be used, and why not. Imports none of them.

``CEREBENCH_PLUGINS`` is the allow-list: unset allows every installed plugin, empty only the built-in ones, otherwise a
comma-separated list of distribution or entry-point names (``*`` and ``?`` allowed). ``CEREBENCH_BLOCK_PLUGINS`` is the
block-list, of the same form; it wins, and it can block built-in plugins too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from cerebench.errors import PluginError
from cerebench.plugins.manifest import SUPPORTED_APIS, Manifest, find_manifest, read_manifest
from cerebench.plugins.patterns import matches

ALLOW = "CEREBENCH_PLUGINS"
BLOCK = "CEREBENCH_BLOCK_PLUGINS"
STRICT = "CEREBENCH_STRICT_PLUGINS"
GROUP = BUILT_IN = "cerebench"

State = Literal["ok", "failed", "blocked", "duplicate", "incompatible"]


@dataclass(frozen=True)
class PluginState:
    """What can be said of an installed plugin.

    Attributes:
        name: its entry point's name.
        distribution: the installed distribution that brings it, and its ``version``.
        state: ``ok``; ``failed`` (manifest or import); ``blocked`` (by environment); ``duplicate`` (a public name of it
            belongs to another distribution; its other names work); ``incompatible`` (another version of the contract).
        error: one sentence, empty where the state is ``ok``.
        provides: kind → how many.
    """

    name: str
    distribution: str
    version: str
    state: State = "ok"
    error: str = ""
    provides: Mapping[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"plugin {self.name!r} of {self.distribution} {self.version}".rstrip()


@dataclass(frozen=True)
class Plugin:
    """An installed plugin: where its hooks are, its manifest, and its state before anything is imported."""

    entry_point: EntryPoint
    manifest: Manifest
    status: PluginState


def listed(environ: Mapping[str, str], variable: str) -> list[str] | None:
    """The names in a comma-separated environment variable; ``None`` where it is not set."""
    value = environ.get(variable)
    return None if value is None else [part.strip() for part in value.split(",") if part.strip()]


def discover_plugins(environ: Mapping[str, str] | None = None) -> list[Plugin]:
    """Every installed plugin, built-in ones first, then by distribution and entry point."""
    environ = os.environ if environ is None else environ
    allowed, blocked = listed(environ, ALLOW), listed(environ, BLOCK) or []
    owners: dict[object, str] = {}
    found = []
    for point, distribution, version in _installed():
        status = PluginState(point.name, distribution, version)
        names = (distribution, point.name)
        is_allowed = allowed is None or distribution == BUILT_IN or _any(names, allowed)
        try:
            manifest = read_manifest(find_manifest(point.module))
        except PluginError as error:
            manifest = Manifest(None, problems=(str(error),))
        state: State = "ok"
        reason = ""
        if _any(names, blocked):
            state, reason = "blocked", f"{BLOCK} names it"
        elif not is_allowed:
            state, reason = "blocked", f"{ALLOW} does not name it"
        elif manifest.api is not None and manifest.api not in SUPPORTED_APIS:
            supported = ", ".join(str(api) for api in SUPPORTED_APIS)
            advice = "upgrade cerebench" if manifest.api > max(SUPPORTED_APIS) else "upgrade the plugin"
            state, reason = "incompatible", f"written for API {manifest.api}, this cerebench has {supported}: {advice}"
        elif manifest.problems:
            state, reason = "failed", _joined(manifest.problems)
        elif manifest.path in owners:
            state = "failed"
            reason = (
                f"shares {manifest.path} with entry point {owners[manifest.path]!r}; keep one entry point a package"
            )
        else:
            owners[manifest.path] = point.name
        status = PluginState(point.name, distribution, version, state, reason, manifest.counts())
        found.append(Plugin(point, manifest, status))
    return found


def _installed() -> list[tuple[EntryPoint, str, str]]:
    points = []
    for point in entry_points(group=GROUP):
        distribution = point.dist
        name, version = (distribution.name, distribution.version) if distribution else ("unknown", "")
        points.append((point, name, version))
    return sorted(points, key=lambda item: (item[1] != BUILT_IN, item[1].lower(), item[0].name))


def _any(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(matches(name, pattern) for name in names for pattern in patterns)


def _joined(problems: tuple[str, ...]) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"
