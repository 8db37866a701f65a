"""``bench data check``: read every file of a cohort and name each fault in one line."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cerebench.errors import UsageError

CardsOption = Annotated[
    list[Path] | None, typer.Option("--cards", metavar="DIR", help="Folder with further cards; may be repeated.")
]


def check(
    cohort: Annotated[str, typer.Argument(metavar="COHORT", help="Public name, as in 'bench list cohorts'.")],
    data_root: Annotated[
        Path | None,
        typer.Option("--data-root", metavar="DIR", help="Folder that holds the cohorts' folders [CEREBENCH_DATA]."),
    ] = None,
    cards: CardsOption = None,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Cases read at once (0: one a core).")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object.")] = False,
) -> None:
    """Read every file of a cohort and name each fault in one line; the exit code is 1 if there is any."""
    from cerebench.cli.bar import Bar
    from cerebench.cli.output import print_json
    from cerebench.cohorts.locate import locate
    from cerebench.paths import data_root as resolve
    from cerebench.plugins.registry import Registry
    from cerebench.prepare.inspection import inspect_cases

    card = Registry.discover(cards=cards or []).card(cohort)
    root = resolve(data_root)
    if root is None:
        raise UsageError("no data root is named: use --data-root DIR or set CEREBENCH_DATA")
    location = locate(card, root)
    if location.listing is None:
        raise UsageError(
            f"cohort {card.name!r} is {location.status} under {root}: {location.note}"
            + ("" if location.root else f"; expected a folder named {' or '.join(card.folder_names())}")
        )
    listing = location.listing
    with Bar(f"reading {card.name}") as bar:
        found = list(inspect_cases(listing.cases, listing.policy, workers or os.cpu_count() or 1, bar.show))
    faults = [*listing.faults, *(fault for each in found for fault in each.faults)]
    notes = [*listing.notes, *(note for each in found for note in each.notes)]
    if as_json:
        print_json(
            {
                "cohort": card.name,
                "folder": str(listing.root),
                "layout": listing.layout.name,
                "provenance": listing.provenance,
                "patients": len(listing.patients),
                "modalities": list(listing.modalities),
                "lesions_with_class": len(listing.lesions),
                "excluded": list(listing.excluded),
                "cases": [asdict(each) for each in found],
                "faults": faults,
                "notes": notes,
            }
        )
    else:
        _print(faults, notes, _summary(listing, found, len(faults)))
    if faults:
        raise typer.Exit(1)


def _print(faults: list[str], notes: list[str], summary: str) -> None:
    for fault in faults:
        print(f"fault: {fault}")
    for note in notes:
        print(f"note: {note}")
    print(summary)


def _summary(listing: Any, found: list[Any], faults: int) -> str:
    from statistics import median

    volumes = sorted(each.lesion_ml for each in found if each.lesion_ml is not None)
    lesions = ""
    if volumes:
        lesions = f"; lesions {volumes[0]:.3g} to {volumes[-1]:.3g} ml, median {median(volumes):.3g} ml"
    files = sum(each.files for each in found)
    return (
        f"{listing.card.name} ({listing.provenance}, layout {listing.layout.name}): {len(found)} cases of "
        f"{len(listing.patients)} patients, {files} files read{lesions}; "
        + (f"{faults} fault{'s' * (faults != 1)}" if faults else "no fault")
    )
