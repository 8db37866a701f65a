"""``bench list``: what can be named, read from manifests and cards without importing any plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cerebench.cli.output import print_json, print_table, print_warnings
from cerebench.paths import data_root as resolve_data_root
from cerebench.plugins.entries import Entry
from cerebench.plugins.registry import Registry

app = typer.Typer(help="List methods, cohorts, protocols or metrics.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print a list of objects.")]


@app.command()
def methods(as_json: Json = False) -> None:
    """List methods."""
    registry = Registry.discover()
    rows = [
        _common(entry)
        | {
            "task": entry.task,
            "supervision": entry.supervision,
            "modalities": list(entry.modalities),
            "unit": entry.unit,
            "training": entry.training,
            "inputs": list(entry.inputs),
            "citation": entry.citation,
            "reimplementation": entry.reimplementation,
            "cost": entry.cost,
        }
        for entry in registry.methods()
    ]
    if not as_json:
        rows = [row | {"modalities": row["modalities"] or "any"} for row in rows]
    _show(registry, rows, as_json, ("name", "task", "supervision", "unit", "modalities", "source", "state", "summary"))


@app.command()
def cohorts(
    as_json: Json = False,
    data_root: Annotated[
        Path | None,
        typer.Option("--data-root", metavar="DIR", help="Folder that holds the cohorts' folders [CEREBENCH_DATA]."),
    ] = None,
    cards: Annotated[
        list[Path] | None, typer.Option("--cards", metavar="DIR", help="Folder with further cards; may be repeated.")
    ] = None,
) -> None:
    """List cohorts. 'available': real (a folder of the data root), in-silico (can be simulated), or none."""
    root = resolve_data_root(data_root)
    registry = Registry.discover(cards=cards or [])
    rows = [
        _common(entry)
        | {
            "title": entry.title,
            "modalities": list(entry.modalities),
            "healthy": entry.healthy,
            "licence": entry.licence,
            "available": entry.available(root) if entry.state == "ok" else "none",
        }
        for entry in registry.cohorts()
    ]
    columns = ("name", "available", "healthy", "modalities", "licence", "source", "state", "summary")
    _show(registry, rows, as_json, columns)


@app.command()
def protocols(as_json: Json = False) -> None:
    """List protocols."""
    registry = Registry.discover()
    rows = [
        _common(entry) | {"title": entry.title, "protocol_version": entry.protocol_version}
        for entry in registry.protocols()
    ]
    _show(registry, rows, as_json, ("name", "protocol_version", "source", "state", "summary"))


@app.command()
def metrics(as_json: Json = False) -> None:
    """List metrics."""
    registry = Registry.discover()
    rows = [
        _common(entry) | {"levels": list(entry.levels), "higher_is_better": entry.higher_is_better}
        for entry in registry.metrics()
    ]
    _show(registry, rows, as_json, ("name", "levels", "higher_is_better", "source", "state", "summary"))


def _common(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "summary": entry.summary,
        "source": entry.source,
        "version": entry.version,
        "state": entry.state,
        "error": entry.error,
    }


def _show(registry: Registry, rows: list[dict[str, Any]], as_json: bool, columns: tuple[str, ...]) -> None:
    print_warnings(registry.warnings())
    if as_json:
        print_json(rows)
    else:
        hidden = {"state"} if all(row["state"] == "ok" for row in rows) else set()
        print_table(rows, [column for column in columns if column not in hidden], "nothing is installed")
