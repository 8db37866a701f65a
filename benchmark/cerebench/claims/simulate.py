"""Results folders made up for a claim, with no effect or with a gross one: the ledger's own controls.

Only scores are drawn. Everything after them is what a run does: rows, sketches, metrics, manifest, reading, verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.claims.ledger import Claim
from cerebench.errors import UsageError
from cerebench.jsonio import digest, write_json
from cerebench.scoring.metrics import METRICS
from cerebench.training.seeding import derived_seed

if TYPE_CHECKING:
    import numpy as np

Place = tuple[str, str, str, str]
"""(method, variant, cohort, modality)."""

PATIENTS = 60
SLICES = 10
VOXELS = 300
SEPARATION = 1.0
"""Between the mean scores of the two classes, in standard deviations of an item, on every side without an effect."""
GROSS = 2.5
"""What a gross effect adds to the separation from each side of a contrast to the better one; the worst has none."""
PATIENT_SPREAD = 0.5
STEPS = 16
"""Scores are multiples of one over this: few distinct ones make a hundred ledgers affordable."""
SHARED = 0.7
"""Share of a patient's spread that all methods have in common."""


def simulate(root: Path, claim: Claim, gross: bool, seed: int, patients: int = PATIENTS) -> None:
    """Write a results folder that holds every cell of a claim, finished.

    Args:
        root: new results folder.
        claim: whose cells.
        gross: whether every contrast is to hold by far; else all cells are drawn alike.
        seed: of the scores.
        patients: tested in every cohort.

    Raises:
        UsageError: the claim contradicts itself, so that no results could support it.
    """
    steps = _steps(claim)
    cells = []
    for place, rank in sorted(steps.items()):
        separation = GROSS * rank if gross else SEPARATION
        path = f"runs/simulated/{digest(list(place), 12)}"
        _write_cell(root / path, claim, place, separation, seed, patients)
        cells.append({**_identity(claim, place), "healthy": False, "path": path, "status": "planned", "reason": ""})
    about = {
        "protocol": claim.protocol,
        "protocol_version": 1,
        "preset": "simulated",
        "banner": "",
        "ranked": True,
        "headline": [],
        "task": _task(claim),
        "preparation": "simulated",
    }
    write_json(root / "runs" / "manifest-simulated.json", {"updated": "", "about": about, "cells": cells})


def _steps(claim: Claim) -> dict[Place, int]:
    """How many steps better than the worst each cell has to be, for all contrasts to hold."""
    worse: dict[Place, set[Place]] = {}
    for contrast in claim.contrasts:
        sides = (contrast.higher, contrast.lower)
        better, rest = sides if METRICS[contrast.metric].higher_is_better else sides[::-1]
        places = [{(side.method, side.variant, *column) for column in side.columns} for side in (better, rest)]
        for place in places[0]:
            worse.setdefault(place, set()).update(places[1])
        for place in places[1]:
            worse.setdefault(place, set())
    steps: dict[Place, int] = {}
    try:
        for place in TopologicalSorter(worse).static_order():
            steps[place] = max((steps[other] + 1 for other in worse[place]), default=0)
    except CycleError:
        raise UsageError(f"claim {claim.id} contradicts itself: its contrasts order the cells in a circle") from None
    return steps


def _task(claim: Claim) -> str:
    return "lesion-classification" if any(item.level == "lesion" for item in claim.contrasts) else "anomaly"


def _identity(claim: Claim, place: Place) -> dict[str, Any]:
    names = dict(zip(("method", "variant", "cohort", "modality"), place, strict=True))
    rest = {"protocol": claim.protocol, "protocol_version": 1, "preset": "simulated", "seed": 0}
    return {**names, **rest, "provenance": "in-silico", "training_source": "simulated"}


class _Draws:
    """Scores of one cell: items of a patient lie ``separation`` apart by class and move together."""

    def __init__(self, place: Place, separation: float, seed: int, patients: int) -> None:
        import numpy as np

        common = np.random.default_rng(derived_seed(seed, "patients", place[2]))
        own = np.random.default_rng(derived_seed(seed, *place))
        self.separation = separation
        self.rng = own
        shifts = common.standard_normal(patients) * SHARED**0.5 + own.standard_normal(patients) * (1 - SHARED) ** 0.5
        self.shifts = PATIENT_SPREAD * shifts
        # labels belong to the patients, so that every method meets the same ones
        self.classes = common.permutation(np.arange(patients) % 2)
        self.shares = np.clip(0.15 * common.lognormal(0, 0.8, patients), 0.02, 0.8)
        self.order = common.random((patients, max(VOXELS, SLICES)))

    def labels(self, patient: int, count: int) -> np.ndarray[Any, Any]:
        """Some of both classes; more than a voxel or slice of each."""
        import numpy as np

        share = self.shares[patient] if count == VOXELS else 0.4
        order = self.order[patient, :count]
        return np.asarray(order < np.sort(order)[max(1, round(share * count))])

    def scores(self, patient: int, labels: Any) -> np.ndarray[Any, Any]:
        """Around half the separation above zero for positives, below for negatives; the threshold is zero."""
        import numpy as np

        means = self.separation * (np.asarray(labels) - 0.5) + self.shifts[patient]
        scores = means + self.rng.standard_normal(np.shape(labels))
        return np.asarray(np.round(scores * STEPS) / STEPS)


def _write_cell(folder: Path, claim: Claim, place: Place, separation: float, seed: int, patients: int) -> None:
    import pandas as pd

    from cerebench.loop.rows import case_table
    from cerebench.loop.summary import write_metrics
    from cerebench.scoring.storage import save_sketches
    from cerebench.store import status_record

    folder.mkdir(parents=True)
    draws = _Draws(place, separation, seed, patients)
    levels = {contrast.level for contrast in claim.contrasts}
    posts = sorted({contrast.post for contrast in claim.contrasts if contrast.level == "voxel"})
    names = [f"p{number:04d}" for number in range(patients)]
    owners = {name: f"{place[2]}/{name}" for name in names}
    rows: list[Any] = []
    slices: list[Any] = []
    sketches: dict[str, Any] = {}
    for number, name in enumerate(names):
        head = (name, owners[name], "")
        for level in sorted(levels & {"subject", "lesion"}):
            label = int(draws.classes[number])
            score = float(draws.scores(number, label))
            score = 1 / (1 + math.exp(-score)) if level == "lesion" else score  # a probability
            rows += [(*head, level, "", "score", score), (*head, level, "", "label", float(label))]
        if "slice" in levels:
            labels = draws.labels(number, SLICES)
            scores = draws.scores(number, labels)
            slices += [(name, owners[name], at, int(labels[at]), float(scores[at])) for at in range(SLICES)]
        if "voxel" in levels:
            sketch, counts = _voxels(draws, number)
            rows.append((*head, "case", "", "lesion_voxels", float(sketch.n_positive)))
            for post in posts:
                sketches[f"{name}/{post}"] = sketch
                rows += [(*head, "voxel", post, metric, value) for metric, value in counts.items()]
        rows.append((*head, "case", "", "voxels", float(VOXELS)))
    table = pd.DataFrame(slices, columns=["case", "patient", "index", "lesion", "score"])
    table = table.astype({"index": "int64", "lesion": "int64", "score": "float64"})
    case_table(rows).to_parquet(folder / "cases.parquet", index=False)
    table.to_parquet(folder / "slices.parquet", index=False)
    save_sketches(folder / "sketches.npz", sketches)
    write_json(folder / "thresholds.json", {owner: _thresholds(claim) for owner in owners.values()})
    write_json(folder / "controls.json", [])
    options = {"post": posts, "task": _task(claim), "resamples": 100, "level": 0.95}
    write_json(folder / "cell.json", {**_identity(claim, place), "options": options, "mixed": False})
    write_metrics(folder)
    write_json(folder / "status.json", status_record("ok"))


def _thresholds(claim: Claim) -> Mapping[str, Any]:
    rules = sorted({item.post for item in claim.contrasts if item.level != "voxel"} - {"raw"})
    chosen = {"subject": 0.5 if _task(claim) == "lesion-classification" else 0.0, "slice": 0.0}
    return {**chosen, "percentiles": dict.fromkeys(rules, chosen)}


def _voxels(draws: _Draws, patient: int) -> tuple[Any, dict[str, float]]:
    from cerebench.loop.rows import COUNTS
    from cerebench.loop.thresholds import FPR_POINTS
    from cerebench.scoring.sketch import ScoreSketch

    labels = draws.labels(patient, VOXELS)
    sketch = ScoreSketch().update(draws.scores(patient, labels), labels)
    found = sketch.counts_at(0.0)
    counts = dict(zip(COUNTS, map(float, found), strict=True))
    return sketch, {**counts, **{f"tp_at_{percent}fpr": float(found.tp) for percent in FPR_POINTS}}
