"""``bench data``: what is there of each cohort, and in-silico twins to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cerebench.cli.data_check import CardsOption, check
from cerebench.cli.data_prepare import prepare
from cerebench.errors import BenchError, UsageError

if TYPE_CHECKING:
    from cerebench.cohorts.card import Card
    from cerebench.cohorts.locate import Location

app = typer.Typer(
    help="Show which cohorts are there, check them, extract brains; write in-silico twins.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command()(check)
app.command()(prepare)


@app.command()
def status(
    data_root: Annotated[
        Path | None,
        typer.Option("--data-root", metavar="DIR", help="Folder that holds the cohorts' folders [CEREBENCH_DATA]."),
    ] = None,
    cards: CardsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Show what is found of each cohort under the data root, and how to get the rest."""
    from cerebench.paths import data_root as resolve
    from cerebench.plugins.registry import Registry

    registry = Registry.discover(cards=cards or [])
    root = resolve(data_root)
    rows: list[dict[str, Any]] = []
    for entry in registry.cohorts():
        try:
            rows.append(describe(registry.card(entry.name), root))
        except BenchError as error:
            rows.append({"name": entry.name, "status": "error", "note": str(error)})
    if as_json:
        import json

        typer.echo(json.dumps(rows, indent=1))
        return
    typer.echo(as_text(rows, root))


def describe(card: Card, data_root: Path | None) -> dict[str, Any]:
    """What is known of one cohort, as plain values.

    ``status`` is that of :class:`cerebench.cohorts.locate.Location`, or ``partial``: usable, but with faults or with
    fewer cases than the public release has.
    """
    from cerebench.cohorts.locate import locate

    location = locate(card, data_root)
    listing = location.listing
    return {
        "name": card.name,
        "summary": card.summary,
        "healthy": card.healthy,
        "status": _status(card, location),
        "folder": str(location.root) if location.root else None,
        "provenance": listing.provenance if listing else None,
        "layout": listing.layout.name if listing else None,
        "cases": len(listing.cases) if listing else 0,
        "expected_cases": card.expected_cases,
        "tasks": list(card.tasks),
        "patients": len(listing.patients) if listing else 0,
        "modalities": list(listing.modalities if listing else card.modalities),
        "masks": sum(case.mask is not None for case in listing.cases) if listing else 0,
        "faults": list(listing.faults) if listing else [],
        "licence": card.licence,
        "access": card.access,
        "simulated": card.simulate is not None,
        "note": location.note,
    }


def _status(card: Card, location: Location) -> str:
    listing = location.listing
    if listing is None or location.status != "found":
        return location.status
    short = listing.provenance == "real" and len(listing.cases) < (card.expected_cases or 0)
    return "partial" if short or listing.faults else "found"


def as_text(rows: list[dict[str, Any]], data_root: Path | None) -> str:
    """The table of :func:`describe` rows, and one line for each cohort that needs something."""
    from tabulate import tabulate

    table = [
        [
            row["name"],
            row["status"],
            _count(row),
            row.get("patients") or "",
            " ".join(row.get("modalities", [])),
            "none needed" if row.get("healthy") else row.get("masks") or "",
            row.get("provenance") or "",
            row.get("licence", ""),
        ]
        for row in rows
    ]
    headers = ["cohort", "status", "cases", "patients", "modalities", "masks", "provenance", "licence"]
    lines = [tabulate(table, headers=headers, tablefmt="simple", disable_numparse=True)]
    notes = [f"{row['name']}: {row['note']}" for row in rows if row["note"]]
    if data_root is None:
        lines.append("No data root is set: use --data-root DIR or CEREBENCH_DATA.")
    return "\n\n".join([*lines, "\n".join(notes)] if notes else lines)


def _count(row: dict[str, Any]) -> str:
    if not row.get("cases"):
        return ""
    return f"{row['cases']} of {row['expected_cases']}" if row["expected_cases"] else str(row["cases"])


@app.command()
def simulate(
    cohort: Annotated[str, typer.Option("--cohort", metavar="NAME", help="Cohort whose layout is written.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The tree becomes DIR/NAME; DIR is a data root.")],
    cases: Annotated[int, typer.Option("--cases", min=1, help="Number of cases.")] = 10,
    spacing: Annotated[float, typer.Option("--spacing", metavar="MM", help="Voxel size in mm.")] = 2.0,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")] = 0,
    cards: CardsOption = None,
) -> None:
    """Write an in-silico cohort in the real cohort's layout and file names."""
    import shutil

    from cerebench.cli.bar import Bar
    from cerebench.cohorts.twins import write_twin
    from cerebench.plugins.registry import Registry

    registry = Registry.discover(cards=cards or [])
    card = registry.card(cohort)
    if card.simulate is None:
        raise UsageError(f"cohort {card.name!r} has no in-silico twin: its card has no `simulate` section")
    final = out / card.name
    if final.exists():
        raise UsageError(f"{final} is already there: choose another --out or delete it")
    simulator = registry.load_simulator(card.simulate.generator)
    partial = out / f".{card.name}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        with Bar(f"simulating {card.name}") as bar:
            write_twin(card, simulator, partial, cases, spacing, seed, progress=bar.show)
        partial.rename(final)
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror or error}): choose another --out") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    typer.echo(f"{cases} case{'s' * (cases != 1)} of {card.name} in {final}")
