"""``bench list``: what can be named, read from manifests and cards without importing any plugin."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cerebench.cli.output import print_json, print_table, print_warnings
from cerebench.errors import UsageError
from cerebench.paths import data_root
from cerebench.plugins.entries import Entry
from cerebench.plugins.registry import Registry
from cerebench.text import did_you_mean

Row = dict[str, Any]


def main(words: list[str]) -> None:
    """Print a listing as a table, or with ``--json`` as a list of objects."""
    if words and not words[0].startswith("-") and words[0] not in _LISTINGS:
        raise UsageError(f"bench list {words[0]}: unknown listing: {did_you_mean(words[0], _LISTINGS)}")
    options = _parser().parse_args(words)
    rows_of, columns = _LISTINGS[options.kind]
    cards = getattr(options, "cards", None) or []
    registry = Registry.discover(cards=cards)
    rows = rows_of(registry, options)
    print_warnings(registry.warnings())
    if options.json:
        print_json(rows)
        return
    healthy = all(row["state"] == "ok" for row in rows)
    print_table(rows, [column for column in columns if column != "state" or not healthy], "nothing is installed")


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="bench list", description="List methods, cohorts, protocols, metrics or reporters.")
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True, help=", ".join(_LISTINGS))
    for kind in _LISTINGS:
        one = kinds.add_parser(kind, description=f"List {kind}.", allow_abbrev=False)
        one.add_argument("--json", action="store_true", help="print a list of objects")
        if kind == "cohorts":
            one.epilog = "'available': real (a folder of the data root), in-silico (can be simulated), or none."
            one.add_argument(
                "--data-root", metavar="DIR", type=Path, help="folder that holds the cohorts' folders [CEREBENCH_DATA]"
            )
            one.add_argument(
                "--cards", metavar="DIR", type=Path, action="append", help="folder with further cards; may be repeated"
            )
    return parser


def _common(entry: Entry) -> Row:
    return {
        "name": entry.name,
        "summary": entry.summary,
        "source": entry.source,
        "version": entry.version,
        "state": entry.state,
        "error": entry.error,
    }


def _methods(registry: Registry, options: Namespace) -> list[Row]:
    return [
        _common(entry)
        | {
            "task": entry.task,
            "supervision": entry.supervision,
            "modalities": list(entry.modalities) if options.json else list(entry.modalities) or "any",
            "unit": entry.unit,
            "training": entry.training,
            "inputs": list(entry.inputs),
            "citation": entry.citation,
            "reimplementation": entry.reimplementation,
            "cost": entry.cost,
        }
        for entry in registry.methods()
    ]


def _cohorts(registry: Registry, options: Namespace) -> list[Row]:
    root = data_root(options.data_root)
    return [
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


def _protocols(registry: Registry, options: Namespace) -> list[Row]:
    return [
        _common(entry) | {"title": entry.title, "protocol_version": entry.protocol_version}
        for entry in registry.protocols()
    ]


def _metrics(registry: Registry, options: Namespace) -> list[Row]:
    return [
        _common(entry) | {"levels": list(entry.levels), "higher_is_better": entry.higher_is_better}
        for entry in registry.metrics()
    ]


def _reporters(registry: Registry, options: Namespace) -> list[Row]:
    return [_common(entry) for entry in registry.reporters()]


_LISTINGS: dict[str, tuple[Callable[[Registry, Namespace], list[Row]], tuple[str, ...]]] = {
    "methods": (
        _methods,
        ("name", "task", "supervision", "unit", "modalities", "source", "state", "summary"),
    ),
    "cohorts": (
        _cohorts,
        ("name", "available", "healthy", "modalities", "licence", "source", "state", "summary"),
    ),
    "protocols": (_protocols, ("name", "protocol_version", "source", "state", "summary")),
    "metrics": (_metrics, ("name", "levels", "higher_is_better", "source", "state", "summary")),
    "reporters": (_reporters, ("name", "source", "state", "summary")),
}
