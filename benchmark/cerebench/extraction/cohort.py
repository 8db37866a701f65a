"""A whole cohort: what is done already, the rest in parallel, and what a reader of the result needs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cerebench.cohorts.card import Card
from cerebench.cohorts.reader import MARKER, PREPARED_MARKER, Listing
from cerebench.errors import DataError, UsageError
from cerebench.extraction.engine import require_ants
from cerebench.extraction.gallery import write_gallery
from cerebench.extraction.plan import Job, Plan, plan_jobs
from cerebench.extraction.records import (
    RECORDS,
    file_index,
    fingerprint,
    finished,
    read_record,
    source_hashes,
)
from cerebench.extraction.settings import EXTRACTION_VERSION, Options
from cerebench.extraction.workers import Extract, Outcome, extract_all
from cerebench.jsonio import write_json
from cerebench.templates import TEMPLATE_NAME

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Report:
    """What was found and done.

    Attributes:
        out: folder of the prepared cohort.
        present: records of cases that were done before, by name.
        done: records of cases that were done now; empty after a dry run.
        waiting: names of cases that a dry run would do.
        faults: name → what is wrong with a case.
    """

    out: Path
    present: dict[str, dict[str, Any]]
    done: dict[str, dict[str, Any]]
    waiting: tuple[str, ...]
    faults: dict[str, DataError]


def source_folder(card: Card, data_root: Path) -> Path | None:
    """The cohort's own folder under a data root, never its prepared copy; letter case does not matter."""
    below = {child.name.casefold(): child for child in sorted(data_root.iterdir(), reverse=True) if child.is_dir()}
    names = [name.casefold() for name in card.folder_names()]
    found = next((below[name] for name in names if name in below), None)
    return data_root if found is None and data_root.resolve().name.casefold() in names else found


def prepare_cohort(
    listing: Listing,
    out: Path,
    options: Options,
    extract: Extract,
    cases: Sequence[str] = (),
    workers: int = 1,
    dry_run: bool = False,
    progress: Progress = lambda done, total, text: None,
) -> Report:
    """Extract the brains of a cohort into ``out``, in the cohort's own layout; finished cases are not done again.

    Args:
        listing: the cohort as it was found.
        out: folder of the prepared cohort.
        options: what the user chose.
        extract: does one case: :func:`cerebench.extraction.case.extract`.
        cases: ids wanted; empty for all.
        workers: processes at once, 1 or more.
        dry_run: only say what would be done; nothing is written.
        progress: called with (done, total, text).

    Raises:
        UsageError: nothing to do, unknown case, ``out`` holds something else, or ANTs is not installed.
    """
    plan = plan_jobs(listing, out, options, cases)
    _check_marker(listing, out, options)
    present, waiting, faults = _survey(plan, options)
    if dry_run:
        return Report(out, present, {}, tuple(job.name for job in waiting), faults)
    if waiting:
        require_ants()
    _begin(listing, out, options)
    done: dict[str, dict[str, Any]] = {}
    total = len(plan.jobs)
    progress(len(present), total, f"{listing.card.name}")

    def ended(job: Job, outcome: Outcome) -> None:
        if isinstance(outcome, DataError):
            faults[job.name] = outcome
        else:
            done[job.name] = outcome
        progress(len(present) + len(done) + len(faults), total, f"{listing.card.name} {job.name}")

    try:
        extract_all(waiting, options, workers, ended, extract)
    finally:  # also after Ctrl-C: what is there has its gallery and an honest marker
        _end(listing, out, options, plan, faults)
    return Report(out, present, dict(sorted(done.items())), (), dict(sorted(faults.items())))


def _survey(plan: Plan, options: Options) -> tuple[dict[str, dict[str, Any]], list[Job], dict[str, DataError]]:
    present: dict[str, dict[str, Any]] = {}
    waiting: list[Job] = []
    faults = dict(plan.faults)
    index = file_index()
    for job in plan.jobs:
        try:
            record = finished(job, fingerprint(job, source_hashes(job, index), options, index), options, index)
        except DataError as error:
            faults[job.name] = error
            continue
        if record is None:
            waiting.append(job)
        else:
            present[job.name] = record
    return present, waiting, faults


def _check_marker(listing: Listing, out: Path, options: Options) -> None:
    """Refuse to mix what does not belong together in one tree."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    marker = read_record(out / PREPARED_MARKER)
    if marker is None:
        raise UsageError(f"{out} holds files but no {PREPARED_MARKER}: choose another --out or an empty folder")
    mine = {"cohort": listing.card.name, "layout": listing.layout.name, "spacing_mm": options.spacing_mm}
    for name, value in mine.items():
        if marker.get(name) != value:
            raise UsageError(
                f"{out} was prepared with {name} {marker.get(name)!r}, asked for is {value!r}: "
                "choose another --out, or delete the folder"
            )


def _begin(listing: Listing, out: Path, options: Options) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not (out / PREPARED_MARKER).is_file():
            write_json(out / PREPARED_MARKER, _marker(listing, options, complete=False, cases=0, faults=[]))
        for name, source in _companions(listing).items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, out / name)
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror or error}): choose another --out") from error


def _companions(listing: Listing) -> dict[str, Path]:
    """Path below the output → file of the source that the reader needs beside the images."""
    found = {}
    if listing.layout.table is not None:
        found[listing.layout.table.file] = listing.root / listing.layout.table.file
    if listing.provenance == "in-silico":  # the marker lies at the cohort's root, which may wrap the layout's
        found[MARKER] = next(
            folder / MARKER for folder in (listing.root, *listing.root.parents) if (folder / MARKER).is_file()
        )
    return {name: source for name, source in found.items() if source.is_file()}


def _end(listing: Listing, out: Path, options: Options, plan: Plan, faults: dict[str, DataError]) -> None:
    records = [record for path in sorted((out / RECORDS).glob("*.json")) if (record := read_record(path)) is not None]
    write_gallery(out, listing.card.name, records)
    names = {record.get("case") for record in records}
    complete = not faults and {case.id for case in listing.cases} <= names | _sharing(listing, names)
    write_json(
        out / PREPARED_MARKER,
        _marker(listing, options, complete=complete, cases=len(records), faults=sorted(faults)),
    )


def _sharing(listing: Listing, names: set[Any]) -> set[str]:
    """Cases that share all files with one that has a record."""
    files = {case.id: (tuple(sorted(case.images.values())), case.mask) for case in listing.cases}
    there = {files[name] for name in names if name in files}
    return {name for name, its in files.items() if its in there}


def _marker(listing: Listing, options: Options, complete: bool, cases: int, faults: list[str]) -> dict[str, Any]:
    return {
        "schema": 1,
        "cohort": listing.card.name,
        "layout": listing.layout.name,
        "skull_stripped": True,
        "template": TEMPLATE_NAME,
        "version": EXTRACTION_VERSION,
        "spacing_mm": options.spacing_mm,
        "steps": ["n4", "brain", "affine", "rigid", "reslice"],
        "complete": complete,
        "cases": cases,
        "faults": faults,
    }
