"""Which of a method's variants the validation cases choose, and what the test cases say of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from cerebench.jsonio import read_json
from cerebench.loop.reference import validation_ap
from cerebench.manifest import Cell, read_cells
from cerebench.store import Store

SELECTIONS = ("lesion", "balanced")
TESTED = ("ap", "best_dice")
_TABLE = ("protocol", "protocol_version", "preset", "provenance")

Score = dict[tuple[str, int], float]


@dataclass(frozen=True)
class Candidate:
    """One variant of a method under one selection.

    Attributes:
        protocol, protocol_version, preset, provenance: its table.
        method, variant: which.
        selection: ``lesion`` (the protocol's selection cohorts, pooled) or ``balanced`` (every kind of lesion alike).
        validation_ap: mean over modalities and seeds that all variants have.
        chosen: whether it is the best of its method under this selection; of equals, the one with fewer settings.
        ap, best_dice: on the test cases, mean over the columns and seeds that all variants have. Nothing is chosen by
            them.
        n_columns: number of these columns that define an AP.
    """

    protocol: str
    protocol_version: int
    preset: str
    provenance: str
    method: str
    variant: str
    selection: str
    validation_ap: float
    chosen: bool
    ap: float | None
    best_dice: float | None
    n_columns: int


def candidates(
    results: Path,
    protocol: str | None = None,
    preset: str | None = None,
    post: str = "raw",
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> list[Candidate]:
    """All variants of every method of which several have run on the same columns.

    Args:
        results: results folder.
        protocol, preset: only this one.
        post: map that is judged, ``raw`` or ``median``.
        progress: told (done, total, method) while reference cells are read.
    """
    store = Store(results)
    groups: dict[tuple[Any, ...], dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in read_cells(store):
        about = cell.identity
        wanted = protocol in (None, about["protocol"]) and preset in (None, about["preset"])
        if wanted and cell.status == "ok" and cell.path and not cell.healthy and cell.table["task"] == "anomaly":
            groups[(*(about[name] for name in _TABLE), about["method"])][about["variant"]].append(cell)
    several = {key: variants for key, variants in groups.items() if len(variants) > 1}
    found: list[Candidate] = []
    for done, (key, variants) in enumerate(sorted(several.items(), key=lambda item: str(item[0]))):
        progress(done, len(several), str(key[-1]))
        found += _of_method(store, key, variants, post)
    return found


def _of_method(store: Store, key: tuple[Any, ...], variants: dict[str, list[Cell]], post: str) -> list[Candidate]:
    columns = _common({variant: {_column(cell) for cell in cells} for variant, cells in variants.items()}.values())
    if not columns:
        return []
    kept = {variant: [cell for cell in cells if _column(cell) in columns] for variant, cells in variants.items()}
    tested = {variant: _tested(store, cells, post) for variant, cells in kept.items()}
    judged = {variant: _judged(store, cells, post) for variant, cells in kept.items()}
    found = []
    for selection in SELECTIONS:
        scores = {variant: of[selection] for variant, of in judged.items()}
        shared = _common([set(of) for of in scores.values()])
        if not shared:
            continue
        means = {variant: fmean(of[place] for place in shared) for variant, of in scores.items()}
        best = max(means, key=lambda variant: (means[variant], -variant.count("="), variant))
        for variant, mean in means.items():
            ap, best_dice, count = tested[variant]
            about = dict(zip((*_TABLE, "method"), key, strict=True))
            figures: dict[str, Any] = {"ap": ap, "best_dice": best_dice, "n_columns": count}
            judged_as: dict[str, Any] = {"selection": selection, "validation_ap": mean, "chosen": variant == best}
            found.append(Candidate(**about, variant=variant, **judged_as, **figures))
    return found


def _column(cell: Cell) -> tuple[str, str, int]:
    return str(cell.identity["cohort"]), str(cell.identity["modality"]), int(cell.identity["seed"])


def _common(sets: Iterable[set[Any]]) -> set[Any]:
    return set.intersection(*sets)


def _judged(store: Store, cells: list[Cell], post: str) -> dict[str, Score]:
    """Selection → (modality, seed) → validation AP, mean over the artefacts that serve them."""
    folders: dict[tuple[str, int], set[str]] = defaultdict(set)
    for cell in cells:
        reference = read_json(store.path(str(cell.path)) / "cell.json")["reference"]
        folders[_column(cell)[1:]].add(reference)
    found: dict[str, Score] = {selection: {} for selection in SELECTIONS}
    for place, paths in folders.items():
        known = [validation_ap(store.path(path), post) for path in sorted(paths)]
        for selection in SELECTIONS:
            values = [value for one in known if (value := one[selection]) is not None]
            if len(values) == len(known):
                found[selection][place] = fmean(values)
    return found


def _tested(store: Store, cells: list[Cell], post: str) -> tuple[float | None, float | None, int]:
    values: dict[str, list[float]] = {name: [] for name in TESTED}
    columns = set()
    for cell in cells:
        for row in read_json(store.path(str(cell.path)) / "metrics.json")["rows"]:
            whole = row["level"] == "voxel" and row["stratum"] == "all" and row["post"] == post
            if whole and row["metric"] in values and row["value"] is not None:
                values[row["metric"]].append(row["value"])
                columns.add(_column(cell)[:2])
    ap, best_dice = (fmean(found) if found else None for found in values.values())
    return ap, best_dice, len(columns)
