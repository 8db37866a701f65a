"""Where a cohort's folder is under a data root, and whether its cases can be used as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cerebench.cohorts.card import Card
from cerebench.cohorts.reader import PREPARED_MARKER, Listing, read_cohort
from cerebench.errors import DataError

PREPARED_FOLDER = "prepared"

Status = Literal["found", "missing", "not-ready", "empty"]


@dataclass(frozen=True)
class Location:
    """What was found of one cohort.

    Attributes:
        status: ``found`` (usable), ``missing`` (no folder), ``not-ready`` (no case can be used before
            its brain is extracted), ``empty`` (a folder without usable cases).
        root: the folder, ``None`` where missing.
        listing: the cases, ``None`` where missing or empty.
        note: one sentence for the user; empty where all is well.
    """

    status: Status
    root: Path | None
    listing: Listing | None
    note: str


def find_folder(card: Card, data_root: Path | None) -> Path | None:
    """The cohort's folder: ``data_root`` itself if it bears one of the cohort's names, else the folder below it.

    A prepared copy (``<data root>/prepared/<name>``) comes first. Letter case does not matter. Nothing is opened, so
    that listings stay quick.
    """
    if data_root is None or not data_root.is_dir():
        return None
    prepared = data_root / PREPARED_FOLDER / card.name
    if (prepared / PREPARED_MARKER).is_file():
        return prepared
    names = [name.casefold() for name in card.folder_names()]
    below = {
        child.name.casefold(): child
        for child in sorted(data_root.iterdir(), reverse=True)
        if child.name.casefold() in names and child.is_dir()
    }
    for name in names:
        if name in below:
            return below[name]
    return data_root if data_root.resolve().name.casefold() in names else None


def locate(card: Card, data_root: Path | None) -> Location:
    """Look for the cohort under a data root; faults become the note, never an exception."""
    folder = find_folder(card, data_root)
    if folder is None:
        return Location("missing", None, None, card.access)
    try:
        listing = read_cohort(card, folder)
    except DataError as error:
        return Location("empty", folder, None, str(error))
    unready = listing.unready
    if len(unready) == len(listing.cases):
        note = f"heads with skull and no brain mask: extract the brains first with `bench data prepare {card.name}`"
        return Location("not-ready", folder, listing, note)
    notes = list(listing.notes)
    if unready:
        notes.append(f"{len(unready)} of {len(listing.cases)} cases have no brain mask (first: {unready[0]})")
    if listing.faults:
        notes.append(f"{len(listing.faults)} fault{'s' * (len(listing.faults) != 1)} (first: {listing.faults[0]})")
    return Location("found", folder, listing, "; ".join(notes))
