"""``bench plugins``: which plugins are installed and in which state; check one; begin a new one."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated

import typer

from cerebench.cli.output import print_json, print_table
from cerebench.cli.plugins_check import check
from cerebench.cli.plugins_new import new
from cerebench.plugins.catalogue import KINDS
from cerebench.plugins.registry import Registry

app = typer.Typer(
    help="List plugins with their state; check one against the contract; begin a new package.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
    load: Annotated[bool, typer.Option("--load", help="Also import each plugin's hooks.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Import each plugin's hooks; end with the traceback of the first fault.")
    ] = False,
) -> None:
    """List plugins: distribution, version, state, what each provides, and what is wrong with it in one line."""
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


app.command()(check)
app.command()(new)
