"""Lesion classification through a worker's own code, in process, with the toy classifier as an installed plugin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cerebench.boards import COLUMNS
from cerebench.executors.work import run_job
from cerebench.jsonio import read_json
from cerebench.plan.cells import EvaluationCell, Identity, Job, ReferenceCell, StageCell
from cerebench.scoring.detection import bootstrap_detection
from cerebench.store import Store

TOYS = Path(__file__).parent.parent / "toys"
STAGE, REFERENCE, CELL = "artefacts/fit/toy-1", "artefacts/reference/toy-1", "runs/p@1/toy/c-t1/seed0-1"


@pytest.fixture(autouse=True)
def _toys_installed(tmp_path, monkeypatch):
    info = tmp_path / "site" / "cerebench_toys-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cerebench-toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cerebench]\ncerebench-toys = cerebench_toys.plugin\n")
    monkeypatch.syspath_prepend(str(TOYS))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("CEREBENCH_PLUGINS", "cerebench-toys")


def lesions(make_case, truth: np.ndarray):
    """Cubes whose intensity tells their class, before labels are shuffled."""
    refs = []
    for number, label in enumerate(truth):
        rng = np.random.default_rng(number)
        bright = number % 2
        labels = np.zeros((12, 10, 8))
        labels[5:8, 4:7, 3:6] = 1
        image = rng.normal(0.5, 0.05, (1, 12, 10, 8)) + labels * (0.1 + 0.3 * bright)
        covariates = {"age": float(50 + 10 * bright + rng.normal(0, 5))}
        refs.append(make_case(f"l{number:02d}", labels=labels, image=image, label=int(label), covariates=covariates))
    return refs


def run(tmp_path, options, refs, name: str = "results", **stage):
    train, validation, test = refs[:12], refs[12:20], refs[20:]
    identity = Identity("p", 1, "quick", "toy-lesion-classifier", "", "c", "t1", 0, "in-silico", "toy lesions")
    cells = (
        StageCell("fit", STAGE, None, 0, None, True, tuple(train), tuple(validation), "toy lesions", 60),
        ReferenceCell(REFERENCE, STAGE, tuple(validation), (), (), False, 60),
        EvaluationCell(CELL, identity, False, STAGE, REFERENCE, tuple(test), (), 60),
    )
    job = Job(
        id="toy",
        method="toy-lesion-classifier",
        overrides={"steps": 60},
        preset="quick",
        modalities=("t1",),
        shape=(12, 10, 8),
        spacing=(2.0, 2.0, 2.0),
        cards=(),
        seed=0,
        options=options(task="lesion-classification"),
        provenance={},
        stages=cells[:1],
        references=cells[1:2],
        evaluations=cells[2:],
    )
    store, events = Store(tmp_path / name), []
    run_job(Job.from_json(job.to_json()), store, "cpu", events.append)
    return store, events


def test_separable_lesions_are_told_apart_and_shuffled_labels_are_not(tmp_path, options, make_case):
    truth = np.arange(32) % 2
    refs = lesions(make_case, truth)
    store, events = run(tmp_path, options, refs)
    assert [event.status for event in events if event.kind == "end"] == ["ok", "ok", "ok"]
    rows = {row["metric"]: row for row in read_json(store.path(CELL) / "metrics.json")["rows"]}
    assert {row["level"] for row in rows.values()} == {"lesion"}
    wanted = {
        "auroc",
        "ap",
        "brier",
        "sensitivity",
        "specificity",
        "accuracy",
        "balanced_accuracy",
        "fpr",
        "prevalence",
    }
    assert set(rows) == wanted
    assert rows["auroc"]["value"] > 0.95
    assert rows["brier"]["value"] < 0.15
    assert rows["auroc"]["n_cases"] == 12
    assert set(next(iter(rows.values()))) <= set(COLUMNS)
    curve = read_json(store.path(CELL) / "calibration.json")
    assert sum(item["lesions"] for item in curve) == 12
    assert [item["predicted"] for item in curve] == sorted(item["predicted"] for item in curve)
    shuffled = np.random.default_rng(1).permutation(truth)
    again = [replace(ref, label=int(label)) for ref, label in zip(refs, shuffled, strict=True)]
    other, _ = run(tmp_path, options, again, "shuffled")
    chance = {row["metric"]: row["value"] for row in read_json(other.path(CELL) / "metrics.json")["rows"]}
    assert 0.15 < chance["auroc"] < 0.85
    assert chance["brier"] > 0.2


def test_the_interval_of_the_area_is_delongs_on_the_logit_scale(tmp_path, options, make_case):
    truth = np.random.default_rng(4).permutation(np.arange(44) % 2)
    refs = [replace(ref, label=int(label)) for ref, label in zip(lesions(make_case, truth), truth, strict=True)]
    store, _ = run(tmp_path, options, refs)
    table = pd.read_parquet(store.path(CELL) / "cases.parquet")
    table = table[table["level"] == "lesion"].pivot(index="case", columns="metric", values="value")
    (row,) = [row for row in read_json(store.path(CELL) / "metrics.json")["rows"] if row["metric"] == "auroc"]
    positives, negatives = (table.loc[table["label"] == label, "score"].to_numpy() for label in (1, 0))
    wins = (positives[:, None] > negatives).astype(float) + 0.5 * (positives[:, None] == negatives)
    area = wins.mean()
    error = np.sqrt(wins.mean(1).var(ddof=1) / len(positives) + wins.mean(0).var(ddof=1) / len(negatives))
    step = 1.959963984540054 * error / (area * (1 - area))
    wanted = [1 / (1 + np.exp(-(np.log(area / (1 - area)) + sign * step))) for sign in (-1, 1)]
    assert row["interval"] == "delong"
    assert 0 < area < 1
    assert (row["value"], row["low"], row["high"]) == pytest.approx((area, *wanted), abs=1e-9)
    # the bootstrap of the other metrics says about the same
    scores, labels = table["score"].to_numpy(), table["label"].to_numpy()
    check = bootstrap_detection(scores, labels, [f"p{k}" for k in range(len(labels))])["auroc"]
    assert (check.low, check.high) == pytest.approx((row["low"], row["high"]), abs=0.12)


def test_a_case_without_a_lesion_fails_its_cell_with_one_clear_sentence(tmp_path, options, make_case):
    refs = lesions(make_case, np.arange(28) % 2)
    refs[-1] = make_case("blank", labels=np.zeros((12, 10, 8)), label=1)
    store, events = run(tmp_path, options, refs)
    reason = "case blank: its mask holds no lesion voxel, but lesion classification needs one"
    assert [(event.what, event.status, event.reason) for event in events if event.kind == "end"] == [
        ("train", "ok", ""),
        ("reference", "ok", ""),
        ("evaluate", "failed", reason),
    ]
    status = store.status(CELL)
    assert status is not None
    assert (status["status"], status["reason"]) == ("failed", reason)


def test_a_second_run_keeps_everything(tmp_path, options, make_case):
    refs = lesions(make_case, np.arange(28) % 2)
    store, _ = run(tmp_path, options, refs)
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*.parquet")}
    _, events = run(tmp_path, options, refs)
    assert [(event.what, event.status) for event in events if event.kind == "end"] == [("evaluate", "kept")]
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*.parquet")} == before
