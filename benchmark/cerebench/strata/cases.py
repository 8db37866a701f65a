"""Which stratum each case of a finished cell belongs to; reads the store only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from cerebench.jsonio import read_json
from cerebench.manifest import Cell
from cerebench.scoring.sketch import ScoreSketch
from cerebench.scoring.storage import load_sketches
from cerebench.store import Store

By = Literal["kind", "size", "centre", "modality", "seen"]
BY: tuple[str, ...] = get_args(By)
SIZES_ML = (1.0, 10.0)
"""Limits between small, middle and large lesion loads (of a case, all its lesions together); assumed."""
SEEN, UNSEEN = "seen", "unseen"


@dataclass(frozen=True)
class StratumCase:
    """One case in one stratum.

    Attributes:
        stratum: its name, such as ``glioma``, ``1-10 ml`` or ``unseen``.
        patient: ``cohort/patient``.
        cohort: that it belongs to.
        sketch: its voxel scores.
        counts: tp, fp, fn, tn at the transferred threshold; ``None`` where there was no threshold.
    """

    stratum: str
    patient: str
    cohort: str
    sketch: ScoreSketch
    counts: tuple[float, float, float, float] | None


def stratum_cases(store: Store, cell: Cell, by: By, post: str, kinds: Callable[[str], str]) -> list[StratumCase]:
    """The cases of a finished cell that have a voxel reference and a known stratum.

    Args:
        store: results folder.
        cell: finished.
        by: what divides the cases.
        post: map that was scored.
        kinds: cohort → kind of its lesions, empty if unknown.

    Raises:
        DataError: the cell's sketches are unreadable.
    """
    import pandas as pd

    folder = store.path(str(cell.path))
    table = pd.read_parquet(folder / "cases.parquet")
    sketches = load_sketches(folder / "sketches.npz")
    owners = table.drop_duplicates("case").set_index("case")[["patient", "centre"]]
    voxel = table[(table["level"] == "voxel") & (table["post"] == post)]
    values = voxel.pivot(index="case", columns="metric", values="value")
    sizes = table[table["metric"] == "lesion_ml"].set_index("case")["value"]
    trained = training_centres(store, folder) if by == "seen" else None
    cohort, modality = str(cell.identity["cohort"]), str(cell.identity["modality"])
    found = []
    for key, sketch in sorted(sketches.items()):
        case, _, rule = key.rpartition("/")
        if rule != post:
            continue
        centre = str(owners.loc[case, "centre"] or "")
        strata = {
            "kind": kinds(cohort) if sketch.n_positive else "no lesion",
            "size": size_class(float(sizes.get(case, 0.0))),
            "centre": f"{cohort}/{centre}" if centre else "",
            "modality": modality,
            "seen": "" if trained is None else SEEN if f"{cohort}/{centre}" in trained else UNSEEN,
        }
        if stratum := strata[by]:
            patient = str(owners.loc[case, "patient"])
            found.append(StratumCase(stratum, patient, cohort, sketch, _counts(values, case)))
    return found


def size_class(ml: float) -> str:
    """The name of a lesion load; empty without a lesion."""
    small, large = SIZES_ML
    if ml <= 0:
        return ""
    return f"< {small:g} ml" if ml < small else f"{small:g}-{large:g} ml" if ml < large else f">= {large:g} ml"


def training_centres(store: Store, folder: Path) -> frozenset[str] | None:
    """``cohort/centre`` of all that the cell's model was trained on; ``None`` where an artefact does not tell.

    A method that learns nothing has seen no centre.
    """
    cell = read_json(folder / "cell.json")
    last = [cell["artefact"]] if cell["artefact"] else []
    found: set[str] = set()
    for stage in cell.get("stages", last):
        try:
            found |= set(read_json(store.path(stage) / "provenance.json")["training_centres"])
        except (OSError, ValueError, KeyError):
            return None
    return frozenset(found)


def _counts(values: Any, case: str) -> tuple[float, float, float, float] | None:
    from cerebench.loop.rows import COUNTS

    if not set(COUNTS) <= set(values.columns) or case not in values.index:
        return None
    row: Mapping[str, float] = values.loc[case]
    tp, fp, fn, tn = (float(row[name]) for name in COUNTS)
    return None if tp != tp else (tp, fp, fn, tn)
