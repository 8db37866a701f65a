"""``bench data prepare``: heads with skull to canonical, skull-stripped volumes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cerebench.cli.data_check import CardsOption
from cerebench.errors import UsageError

if TYPE_CHECKING:
    from cerebench.cohorts.reader import Listing
    from cerebench.extraction.cohort import Report

_GIB_A_WORKER = 2.0


def prepare(
    cohort: Annotated[str, typer.Argument(metavar="COHORT", help="Public name, as in 'bench list cohorts'.")],
    data_root: Annotated[
        Path | None,
        typer.Option("--data-root", metavar="DIR", help="Folder that holds the cohorts' folders [CEREBENCH_DATA]."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The result becomes DIR/COHORT [data root/prepared]."),
    ] = None,
    cards: CardsOption = None,
    cases: Annotated[str | None, typer.Option("--cases", metavar="ID,ID", help="Only these cases.")] = None,
    spacing: Annotated[float, typer.Option("--spacing", metavar="MM", help="Voxel size of the result.")] = 1.0,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Cases at once (0: as cores and memory allow).")] = 0,
    allow_stripped: Annotated[
        bool, typer.Option("--allow-stripped", help="Bring a skull-stripped cohort to the template all the same.")
    ] = False,
    keep_transforms: Annotated[
        bool, typer.Option("--keep-transforms", help="Keep transforms and the brain masks on the original grids.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object.")] = False,
) -> None:
    """Extract brains (N4, template registration) and bring every image to the MNI152 template, once for each case.

    Finished cases are not done again. The exit code is 1 if any case has a fault.
    """
    from cerebench.cli.bar import Bar
    from cerebench.cli.output import print_json
    from cerebench.extraction.case import extract
    from cerebench.extraction.cohort import prepare_cohort
    from cerebench.extraction.settings import Options
    from cerebench.text import split_list

    options = Options(spacing, allow_stripped, keep_transforms)
    listing, folder = _find(cohort, data_root, out, cards)
    with Bar(f"preparing {listing.card.name}") as bar:
        report = prepare_cohort(
            listing,
            folder,
            options,
            extract,
            cases=split_list(cases or ""),
            workers=workers or _default_workers(),
            dry_run=dry_run,
            progress=bar.show,
        )
    if as_json:
        print_json(_as_object(listing, report))
    else:
        _print(listing, report, dry_run)
    if report.faults or listing.faults:
        raise typer.Exit(1)


def _find(cohort: str, data_root: Path | None, out: Path | None, cards: list[Path] | None) -> tuple[Listing, Path]:
    from cerebench.cohorts.locate import PREPARED_FOLDER
    from cerebench.cohorts.reader import read_cohort
    from cerebench.extraction.cohort import source_folder
    from cerebench.paths import data_root as resolve
    from cerebench.plugins.registry import Registry

    card = Registry.discover(cards=cards or []).card(cohort)
    root = resolve(data_root)
    if root is None:
        raise UsageError("no data root is named: use --data-root DIR or set CEREBENCH_DATA")
    source = source_folder(card, root)
    if source is None:
        raise UsageError(
            f"cohort {card.name!r} is missing under {root}, expected a folder named "
            f"{' or '.join(card.folder_names())}: {card.access}"
        )
    return read_cohort(card, source), (out or root / PREPARED_FOLDER).absolute() / card.name


def _default_workers() -> int:
    import psutil

    memory = psutil.virtual_memory().available / 2**30
    return max(1, min(len(psutil.Process().cpu_affinity() or [0]), int(memory / _GIB_A_WORKER)))


def _as_object(listing: Listing, report: Report) -> dict[str, Any]:
    from cerebench.extraction.quality import suspicion

    cases = []
    for status, records in (("present", report.present), ("prepared", report.done)):
        for name, record in records.items():
            score, reasons = suspicion(record)
            cases.append(
                {
                    "case": name,
                    "status": status,
                    **record["quality"],
                    "suspicion": score,
                    "reasons": reasons,
                    "lesion": record["lesion"],
                    "seconds": record["seconds"],
                }
            )
    cases += [{"case": name, "status": "waiting"} for name in report.waiting]
    cases += [{"case": name, "status": "failed", "fault": str(fault)} for name, fault in report.faults.items()]
    return {
        "cohort": listing.card.name,
        "source": str(listing.root),
        "folder": str(report.out),
        "layout": listing.layout.name,
        "cases": sorted(cases, key=lambda entry: str(entry["case"])),
        "faults": [*listing.faults, *(str(fault) for fault in report.faults.values())],
    }


def _print(listing: Listing, report: Report, dry_run: bool) -> None:
    from cerebench.extraction.gallery import by_suspicion

    records = [*report.present.values(), *report.done.values()]
    for score, reasons, record in by_suspicion(records):
        if score:
            print(f"look at: {record['case']}: {'; '.join(reasons)}")
    for fault in [*listing.faults, *report.faults.values()]:
        print(f"fault: {fault}")
    name, done, there = listing.card.name, len(report.done), len(report.present)
    faults = len(report.faults)
    failed = f"; {faults} could not be done" if faults else ""
    if dry_run:
        print(f"{name}: {_count(len(report.waiting))} would be done, {there} there already{failed}; {report.out}")
        return
    print(f"{name}: {_count(done)} done now, {there} there already{failed}; {report.out}")
    if records:
        print(f"Look at the quality pictures before use: {report.out / 'quality' / 'index.html'}")


def _count(cases: int) -> str:
    return f"{cases} case{'s' * (cases != 1)}"
