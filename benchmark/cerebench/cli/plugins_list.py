"""``bench plugins list`` without typer, whose imports alone would use up the half second that listings may take."""

from __future__ import annotations

from collections import defaultdict

from cerebench.cli.output import print_json, print_table
from cerebench.plugins.catalogue import KINDS
from cerebench.plugins.registry import Registry

FLAGS = ("--json", "--load", "--strict")


def shortcut(words: list[str]) -> bool:
    """Print the listing if every word is one of its flags; else say no, and typer explains or refuses them."""
    if not set(words) <= set(FLAGS):
        return False
    print_plugins(*(flag in words for flag in FLAGS))
    return True


def print_plugins(as_json: bool, load: bool, strict: bool) -> None:
    """Print each plugin with its distribution, version, state, what it provides, and what is wrong with it."""
    registry = Registry.discover(strict=strict)
    states = registry.load_all() if load or strict else registry.plugins()
    rows = [
        {
            "name": state.name,
            "distribution": state.distribution,
            "version": state.version,
            "state": state.state,
            "provides": dict(state.provides),
            "error": state.error,
        }
        for state in states
    ]
    if as_json:
        names = _names(registry)
        print_json([{**row, "names": names[str(row["distribution"]), str(row["name"])]} for row in rows])
        return
    print_table(rows, ("name", "distribution", "version", "state", "provides", "error"), "no plugin is installed")


def _names(registry: Registry) -> dict[tuple[str, str], dict[str, list[str]]]:
    """(distribution, plugin) → kind → public names that its manifest lists, whatever their state."""
    found: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(dict)
    for kind in KINDS:
        for entry in getattr(registry, f"{kind}s")():
            found[entry.source, entry.plugin].setdefault(f"{kind}s", []).append(entry.name)
    return found
