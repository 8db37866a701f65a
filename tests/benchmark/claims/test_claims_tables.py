"""What is read of a cell, against scikit-learn on its stored rows and against its metrics.json."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from cerebench.claims.ledger import UNDECIDABLE
from cerebench.claims.tables import NoValue, read_table
from cerebench.errors import DataError
from cerebench.jsonio import read_json, write_json
from cerebench.scoring.metrics import METRICS

SLICE = {"level": "slice", "metric": "balanced_accuracy"}


@pytest.fixture
def folders(simulated, claim):
    """``folders(level)``: folder of the better cell of a gross claim at a level."""

    def make(level, metric="auroc", **more):
        root = simulated(claim(level=level, metric=metric, **more))
        cells = read_json(root / "runs" / "manifest-simulated.json")["cells"]
        (path,) = [cell["path"] for cell in cells if cell["method"] == "good"]
        return root / path

    return make


def value_of(table):
    """The metric of the binned counts, in which ties within a bin count as mixed evenly."""
    return float(table.statistic(table.positives.sum(0), table.negatives.sum(0))[0])


def test_slices_agree_with_scikit_learn(folders, claim):
    folder = folders("slice")
    rows = pd.read_parquet(folder / "slices.parquet")
    expected = {
        "auroc": roc_auc_score(rows["lesion"], rows["score"]),
        "ap": average_precision_score(rows["lesion"], rows["score"]),
        "balanced_accuracy": balanced_accuracy_score(rows["lesion"], rows["score"] >= 0),
        "accuracy": ((rows["score"] >= 0) == rows["lesion"]).mean(),
        "fpr": (rows["score"] >= 0)[rows["lesion"] == 0].mean(),
        "sensitivity": (rows["score"] >= 0)[rows["lesion"] == 1].mean(),
    }
    for metric, value in expected.items():
        table = read_table(folder, claim(level="slice", metric=metric).contrasts[0])
        assert table.value == pytest.approx(value, abs=1e-9)
        assert value_of(table) == pytest.approx(value, abs=5e-3)
        assert list(table.patients) == sorted(rows["patient"].unique())


def test_thresholds_are_each_patients_own(folders, claim):
    folder = folders("slice")
    thresholds = read_json(folder / "thresholds.json")
    rng = np.random.default_rng(0)
    for mine in thresholds.values():
        mine["slice"] = float(rng.normal())
    write_json(folder / "thresholds.json", thresholds)
    from cerebench.loop.summary import write_metrics

    write_metrics(folder)
    rows = pd.read_parquet(folder / "slices.parquet")
    above = rows["score"] >= rows["patient"].map(lambda name: thresholds[name]["slice"])
    table = read_table(folder, claim(**SLICE).contrasts[0])
    assert value_of(table) == pytest.approx(balanced_accuracy_score(rows["lesion"], above), abs=1e-9)


def test_a_percentile_rule_is_read_by_its_name(folders, claim):
    folder = folders("slice", "balanced_accuracy", post="p95")
    thresholds = read_json(folder / "thresholds.json")
    assert all(set(mine["percentiles"]) == {"p95"} for mine in thresholds.values())
    table = read_table(folder, claim(**SLICE, post="p95").contrasts[0])
    rows = pd.read_parquet(folder / "slices.parquet")
    assert value_of(table) == pytest.approx(balanced_accuracy_score(rows["lesion"], rows["score"] >= 0), abs=1e-9)


@pytest.mark.parametrize("level", ["voxel", "slice", "subject", "lesion"])
def test_every_metric_of_every_level_equals_the_stored_one(folders, claim, level, monkeypatch):
    # finer scores than a ledger's check needs: between ties the two ways of counting them are apart
    monkeypatch.setattr("cerebench.claims.simulate.STEPS", 128)
    folder = folders(level)
    stored = {row["metric"]: row for row in read_json(folder / "metrics.json")["rows"] if row["level"] == level}
    known = [name for name, item in METRICS.items() if level in item.levels and name not in UNDECIDABLE]
    assert set(known) <= set(stored)
    for metric in known:
        table = read_table(folder, claim(level=level, metric=metric).contrasts[0])
        assert (table.value, table.low, table.high) == tuple(stored[metric][name] for name in ("value", "low", "high"))
        assert value_of(table) == pytest.approx(stored[metric]["value"], abs=1e-2)


def test_healthy_controls_count_as_the_cells_own_metrics_count_them(folders, claim):
    folder = folders("subject")
    cases = pd.read_parquet(folder / "cases.parquet")
    sick = cases[(cases["metric"] == "label") & (cases["value"] == 1)]["patient"]
    cases[cases["patient"].isin(sick)].to_parquet(folder / "cases.parquet", index=False)
    controls = [{"case": f"h{at}", "patient": f"healthy/h{at}", "score": -1 + at / 10} for at in range(12)]
    write_json(folder / "controls.json", controls)
    thresholds = read_json(folder / "thresholds.json")
    more = {item["patient"]: {"subject": 0.0, "slice": 0.0, "percentiles": {}} for item in controls}
    write_json(folder / "thresholds.json", {**thresholds, **more})
    from cerebench.loop.summary import write_metrics

    write_metrics(folder)
    table = read_table(folder, claim(metric="fpr").contrasts[0])
    assert {name for name in table.patients if name.startswith("healthy/")} == {item["patient"] for item in controls}
    assert value_of(table) == pytest.approx(2 / 12)


def test_rows_that_disagree_with_the_metrics_are_refused(folders, claim):
    folder = folders("slice")
    rows = pd.read_parquet(folder / "slices.parquet")
    rows.assign(score=-rows["score"]).to_parquet(folder / "slices.parquet", index=False)
    with pytest.raises(DataError, match=r"its rows give balanced_accuracy 0\.\d+, its metrics.json says"):
        read_table(folder, claim(**SLICE).contrasts[0])


def test_damaged_files_are_named(folders, claim):
    folder = folders("slice")
    (folder / "slices.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match="delete the folder"):
        read_table(folder, claim(**SLICE).contrasts[0])
    (folder / "metrics.json").write_text("{")
    with pytest.raises(DataError, match=r"metrics\.json cannot be read"):
        read_table(folder, claim(**SLICE).contrasts[0])


def test_what_is_not_there_has_a_reason(folders, claim):
    folder = folders("slice")
    with pytest.raises(NoValue, match="no ap at voxel level"):
        read_table(folder, claim(level="voxel", metric="ap").contrasts[0])
    metrics = read_json(folder / "metrics.json")
    for row in metrics["rows"]:
        row |= {"value": None, "reason": "no threshold"}
    write_json(folder / "metrics.json", metrics)
    with pytest.raises(NoValue, match="no threshold"):
        read_table(folder, claim(**SLICE).contrasts[0])
