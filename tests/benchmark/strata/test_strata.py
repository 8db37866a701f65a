"""Strata of a stored run against scikit-learn on the same voxels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from cerebench.cli.leaderboard import leaderboard
from cerebench.errors import UsageError
from cerebench.jsonio import read_json, write_json
from cerebench.scoring.intervals import Interval
from cerebench.scoring.sketch import ScoreSketch
from cerebench.scoring.storage import save_sketches
from cerebench.store import Store, status_record
from cerebench.strata.cases import size_class
from cerebench.strata.rows import GAP, difference, stratified
from cerebench.strata.table import render_strata

VOXELS = 400
KINDS = {"tumours": "glioma", "plaques": "ms", "normals": "other"}


class Made(NamedTuple):
    """One case with its voxels."""

    case: str
    patient: str
    centre: str
    scores: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    ml: float


def made(cohort: str, index: int, centre: str, lesion: int, ml: float) -> Made:
    rng = np.random.default_rng([index, lesion, len(cohort)])
    labels = np.arange(VOXELS) < lesion
    scores = (rng.normal(size=VOXELS) + 1.5 * labels).astype(np.float32)
    return Made(f"{cohort}{index}", f"{cohort}/p{index}", centre, scores, labels, ml)


CASES = {
    "tumours": [made("tumours", index, "a", 40, 20.0) for index in range(6)],
    "plaques": [made("plaques", index, "b", 8, 0.5 if index % 2 else 5.0) for index in range(6)],
    "normals": [made("normals", index, "ac"[index % 2], 0, 0.0) for index in range(6)],
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three finished columns of a method that was trained on ``normals/a``."""
    store = Store(tmp_path / "results")
    with store.writing("artefacts/fit/m-1") as folder:
        write_json(folder / "provenance.json", {"training_centres": ["normals/a"]})
        write_json(folder / "status.json", status_record("ok"))
    cells = []
    for cohort, cases in CASES.items():
        identity = {"protocol": "p", "protocol_version": 1, "preset": "quick", "method": "m", "variant": ""}
        identity |= {"cohort": cohort, "modality": "t1", "seed": 0, "provenance": "in-silico", "training_source": ""}
        path = f"runs/{cohort}"
        cells.append({**identity, "healthy": cohort == "normals", "path": path, "status": "planned", "reason": ""})
        write_cell(store, path, cases)
    about = {"protocol": "p", "protocol_version": 1, "preset": "quick", "banner": "", "ranked": True}
    about |= {"headline": ["ap"], "task": "anomaly", "preparation": "abc"}
    write_json(store.runs / "manifest-a.json", {"schema_version": 1, "updated": "2026", "about": about, "cells": cells})
    return store.root


def write_cell(store: Store, path: str, cases: list[Made]) -> None:
    rows = []
    for item in cases:
        above = item.scores >= 1
        counts = {"tp": above & item.labels, "fp": above & ~item.labels}
        counts |= {"fn": ~above & item.labels, "tn": ~above & ~item.labels}
        head = (item.case, item.patient, item.centre)
        rows += [(*head, "voxel", "raw", name, float(found.sum())) for name, found in counts.items()]
        rows.append((*head, "case", "", "lesion_ml", item.ml))
    with store.writing(path) as folder:
        names = ["case", "patient", "centre", "level", "post", "metric", "value"]
        pd.DataFrame(rows, columns=names).to_parquet(folder / "cases.parquet", index=False)
        sketches = {f"{item.case}/raw": ScoreSketch().update(item.scores, item.labels) for item in cases}
        save_sketches(folder / "sketches.npz", sketches)
        write_json(folder / "cell.json", {"artefact": "artefacts/fit/m-1"})
        write_json(folder / "status.json", status_record("ok"))


def pooled(*cases: Made) -> float:
    scores, labels = (np.concatenate([getattr(item, name) for item in cases]) for name in ("scores", "labels"))
    return float(average_precision_score(labels, scores))


def test_kinds_pool_the_voxels_of_their_patients(results):
    rows = {row.stratum: row for row in stratified(results, "kind", ["ap"], KINDS.__getitem__)}
    assert set(rows) == {"glioma", "ms"}
    assert rows["glioma"].value == pytest.approx(pooled(*CASES["tumours"]), abs=1e-4)
    assert rows["ms"].value == pytest.approx(pooled(*CASES["plaques"]), abs=1e-4)
    assert rows["ms"].prevalence == pytest.approx(8 / VOXELS)
    assert rows["ms"].low < rows["ms"].value < rows["ms"].high
    assert (rows["ms"].n_patients, rows["ms"].n_cohorts, rows["ms"].flagged) == (6, 1, True)


def test_sizes_divide_by_the_lesion_load_across_cohorts(results):
    rows = {row.stratum: row for row in stratified(results, "size", ["ap"], KINDS.__getitem__)}
    small = [item for item in CASES["plaques"] if item.ml == 0.5]
    assert rows["< 1 ml"].value == pytest.approx(pooled(*small), abs=1e-4)
    assert {name: row.n_patients for name, row in rows.items()} == {"< 1 ml": 3, "1-10 ml": 3, ">= 10 ml": 6}
    assert [size_class(ml) for ml in (0, 0.99, 1, 9.99, 10)] == ["", "< 1 ml", "1-10 ml", "1-10 ml", ">= 10 ml"]


def test_seen_and_unseen_centres_have_a_gap_where_both_define_the_metric(results):
    rows = {(row.stratum, row.metric): row for row in stratified(results, "seen", ["ap", "fpr"], KINDS.__getitem__)}
    assert ("seen", "ap") not in rows
    assert (GAP, "ap") not in rows

    def share(centre: str) -> float:
        return float(np.mean([item.scores >= 1 for item in CASES["normals"] if item.centre == centre]))

    assert rows["seen", "fpr"].value == pytest.approx(share("a"))
    assert rows["unseen", "fpr"].value == pytest.approx(share("c"))
    gap = rows[GAP, "fpr"]
    assert gap.value == pytest.approx(share("c") - share("a"))
    assert gap.low < gap.value < gap.high
    assert gap.n_patients == 6
    assert "gap: unseen minus seen centres" in render_strata(list(rows.values()), "seen")


def test_an_artefact_that_does_not_name_its_centres_leaves_seen_unknown(results):
    write_json(results / "artefacts/fit/m-1/provenance.json", {})
    assert stratified(results, "seen", ["fpr"], KINDS.__getitem__) == []


def test_centres_and_modalities_are_strata(results):
    centres = stratified(results, "centre", ["fpr"], KINDS.__getitem__)
    assert {row.stratum for row in centres} == {"tumours/a", "plaques/b", "normals/a", "normals/c"}
    (row,) = stratified(results, "modality", ["ap"], KINDS.__getitem__)
    assert (row.stratum, row.modality, row.n_cohorts) == ("t1", "t1", 2)
    assert row.value == pytest.approx(pooled(*CASES["tumours"], *CASES["plaques"]), abs=1e-4)


def test_the_interval_of_a_gap_joins_both_sides():
    first = Interval(0.5, 0.4, 0.7, "bootstrap-t", False, 200)
    second = Interval(0.2, 0.1, 0.25, "bootstrap-t", False, 300)
    found = difference(first, second)
    assert found.value == pytest.approx(0.3)
    # Newcombe's square-and-add: l = d - sqrt((a - l_a)^2 + (u_b - b)^2), u with the other halves
    assert found.low == pytest.approx(0.3 - np.sqrt(0.1**2 + 0.05**2))
    assert found.high == pytest.approx(0.3 + np.sqrt(0.2**2 + 0.1**2))
    assert difference(first, Interval(0.2, None, None, "none", True, 1)).low is None


def test_the_command_prints_tables_csv_and_json(results, capsys):
    leaderboard(results, by="size", metric="ap")
    text = capsys.readouterr().out
    assert "ap (voxel) by size, t1, patients pooled" in text
    assert text.index("< 1 ml") < text.index("1-10 ml") < text.index(">= 10 ml")
    leaderboard(results, by="size", output="csv")
    assert "1-10 ml,best_dice," in capsys.readouterr().out
    leaderboard(results, by="size", output="json")
    assert '"schema_version": 1' in capsys.readouterr().out


def test_unknown_words_are_refused(results):
    with pytest.raises(UsageError, match="did you mean 'size'"):
        leaderboard(results, by="sizes")
    with pytest.raises(UsageError, match="'brier'"):
        leaderboard(results, by="size", metric="brier")
    with pytest.raises(UsageError, match="bench run"):
        stratified(results, "size", ["ap"], KINDS.__getitem__, preset="nightly")


def test_a_cell_of_lesion_classes_has_no_voxel_strata(results):
    path = results / "runs" / "manifest-a.json"
    content = read_json(path)
    write_json(path, {**content, "about": {**content["about"], "task": "lesion-classification"}})
    with pytest.raises(UsageError, match="no finished anomaly cell"):
        stratified(results, "kind", ["ap"], KINDS.__getitem__)
