"""``bench plugins check``: whether a method or a cohort's card keeps to the contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cerebench.cli.data_check import CardsOption
from cerebench.cli.output import print_json, print_table
from cerebench.errors import UsageError
from cerebench.plugins.local_methods import is_reference
from cerebench.plugins.registry import Registry
from cerebench.text import did_you_mean

if TYPE_CHECKING:
    from cerebench.plugins.entries import Entry
    from cerebench.testing import CheckResult

Row = dict[str, Any]


def check(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Method, cohort, file.py:MyMethod, card.yaml, or plugin: all it brings."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
    preset: Annotated[str, typer.Option("--preset", help="Preset whose settings are checked.")] = "quick",
    device: Annotated[str, typer.Option("--device", help="Device to check on: cpu, cuda, cuda:1.")] = "cpu",
    cards: CardsOption = None,
    data_root: Annotated[
        Path | None,
        typer.Option("--data-root", metavar="DIR", help="Check a card on its files there instead of on its twin."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Any broken plugin ends the command, with its traceback.")
    ] = False,
) -> None:
    """Check a method on mock volumes, or a cohort's card on its files. Ends with exit code 1 if a check fails."""
    path = Path(name)
    is_file = path.suffix in (".yaml", ".yml")
    registry = Registry.discover([*(cards or []), *([path] if is_file else [])], strict=strict)
    wanted = [("cohort", _name_of(path, registry))] if is_file else _wanted(name, registry)
    rows: list[Row] = []
    for kind, one in wanted:
        found = _method(one, registry, preset, device) if kind == "method" else _cohort(one, registry, data_root)
        rows += [{"name": one, **row} for row in found] if len(wanted) > 1 else found
    if as_json:
        print_json(rows)
    else:
        print_table(rows, [*(["name"] if len(wanted) > 1 else []), "check", "result", "detail"], "no check ran")
    if any(row["result"] == "failed" for row in rows):
        raise typer.Exit(1)


def _wanted(name: str, registry: Registry) -> list[tuple[str, str]]:
    """(kind, public name) of what is to be checked."""
    if is_reference(name):
        return [("method", name)]
    known: dict[str, list[Entry]] = {
        "method": [entry for entry in registry.methods() if entry.state != "duplicate"],
        "cohort": [entry for entry in registry.cohorts() if entry.state != "duplicate"],
    }
    for kind, entries in known.items():
        if name in [entry.name for entry in entries]:
            return [(kind, name)]
    brought = [
        (kind, entry.name)
        for kind, entries in known.items()
        for entry in entries
        if name in (entry.source, entry.plugin)
    ]
    if brought:
        return brought
    plugins = {text for state in registry.plugins() for text in (state.name, state.distribution)}
    if name in plugins:
        state = next(one for one in registry.plugins() if name in (one.name, one.distribution))
        why = state.error or "it brings neither methods nor cohorts"
        raise UsageError(f"{state.label} has nothing to check: {why}")
    names = {entry.name for entries in known.values() for entry in entries} | plugins
    raise UsageError(f"unknown method, cohort or plugin {name!r}: {did_you_mean(name, names)}")


def _name_of(card: Path, registry: Registry) -> str:
    return next(entry.name for entry in registry.cohorts() if entry.path == card.resolve())


def _method(name: str, registry: Registry, preset: str, device: str) -> list[Row]:
    method = registry.load_method(name)
    differences = registry.method_disagreements(name)
    from cerebench.testing.conformance import check_method

    agreement = "failed" if differences else "ok"
    rows = [{"check": "manifest and class agree", "result": agreement, "detail": "; ".join(differences)}]
    return [*rows, *map(_row, check_method(method, preset=preset, device=device))]


def _cohort(name: str, registry: Registry, data_root: Path | None) -> list[Row]:
    from cerebench.cohorts.locate import locate
    from cerebench.testing.cards import check_card

    card = registry.card(name)
    folder = None
    if data_root is not None:
        location = locate(card, data_root)
        if location.root is None:
            raise UsageError(f"no folder of cohort {name!r} under {data_root} ({location.note})")
        folder = location.root
    return [_row(result) for result in check_card(card, folder)]


def _row(result: CheckResult) -> Row:
    state = "skipped" if result.skipped else "ok" if result.ok else "failed"
    row: Row = {"check": result.name, "result": state, "detail": result.detail}
    return {**row, "figures": dict(result.figures)} if result.figures else row
