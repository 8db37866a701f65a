"""Reference and evaluation cells from end to end, against scikit-learn on the arrays themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from cerebench.contract.info import MethodInfo
from cerebench.contract.method import Method, Prediction
from cerebench.loop import summary
from cerebench.loop.evaluate import run_evaluation
from cerebench.loop.feed import prepared
from cerebench.loop.reference import load_reference, run_reference
from cerebench.plan.cells import CaseRef, EvaluationCell, Identity, Job, ReferenceCell
from cerebench.store import Store

CPU = torch.device("cpu")


class Intensity(Method):
    info = MethodInfo(name="intensity", summary="The image.", supervision="none", stages=())

    def predict(self, images: Any, context: Any) -> Prediction:
        return Prediction(maps=images[:, 0].clone())


def patient(make_case: Callable[..., CaseRef], name: str, seed: int, **more: Any) -> CaseRef:
    """A case whose intensities lie on a grid of 1/256, exact in the sketch."""
    rng = np.random.default_rng(seed)
    healthy = more.get("healthy", False)
    labels = (rng.random((12, 10, 8)) < 0.15) & (not healthy)
    image = np.round((rng.random((1, 12, 10, 8)) + 0.4 * labels) * 256) / 256
    return make_case(name, labels=None if healthy else labels, image=image, **more)


def arrays(refs: list[CaseRef]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of all brain voxels."""
    entries = [prepared(ref) for ref in refs]
    labels = [entry.labels()[entry.brain()] == 1 for entry in entries]
    return np.concatenate(labels), np.concatenate([entry.image()[0][entry.brain()] for entry in entries])


class Cell:
    """One finished evaluation cell."""

    def __init__(self, tmp_path, options, cases, lesion=(), healthy=(), controls=(), mixed=False, **more):
        self.store = Store(tmp_path / "results")
        identity = Identity("p", 1, "quick", "intensity", "", "c", "t1", 0, "real", "none")
        reference = ReferenceCell(
            "artefacts/reference/r", None, tuple(lesion), tuple(healthy), tuple(controls), mixed, 9
        )
        cell = EvaluationCell(
            "runs/p@1/intensity/c-t1/seed0", identity, False, None, reference.path, tuple(cases), (), 9
        )
        job = Job(
            *("job", "intensity", {}, "quick", ("t1",), (12, 10, 8), (2.0, 2.0, 2.0), (), 0),
            options(**more),
            {},
            (),
            (reference,),
            (cell,),
        )
        method = Intensity(Intensity.Settings())
        run_reference(method, job, reference, self.store, CPU, lambda *_: None)
        run_evaluation(method, job, cell, self.store, CPU, lambda *_: None)
        self.folder = self.store.path(cell.path)
        self.rule, self.controls = load_reference(self.store.path(reference.path), options(**more).percentiles)

    @property
    def rows(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        found = json.loads((self.folder / "metrics.json").read_text())["rows"]
        return {(row["level"], row["post"], row["metric"]): row for row in found}

    def value(self, level: str, metric: str, post: str = "raw") -> float:
        return self.rows[level, post, metric]["value"]


@pytest.fixture
def people(make_case):
    lesion = [patient(make_case, f"p{k}", k) for k in range(6)]
    healthy = [patient(make_case, f"h{k}", 50 + k, healthy=True) for k in range(4)]
    return lesion, healthy


def test_pooled_metrics_equal_scikit_learn_and_ratios_of_sums(tmp_path, options, people):
    lesion, healthy = people
    tested, validation = lesion[2:], lesion[:3]  # p2 is on both sides
    cell = Cell(tmp_path, options, tested, validation, healthy[:2], healthy[2:])
    labels, scores = arrays(tested)
    assert cell.value("voxel", "ap") == pytest.approx(average_precision_score(labels, scores), abs=1e-9)
    assert cell.value("voxel", "auroc") == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    best = max(f1_score(labels, scores >= t) for t in np.unique(scores))
    assert cell.value("voxel", "best_dice") == pytest.approx(best, abs=1e-9)
    counts = np.zeros(3)
    for ref in tested:
        truth, values = arrays([other for other in validation if other.patient != ref.patient])
        dice = {t: f1_score(truth, values >= t) for t in np.unique(values)}
        threshold = max(t for t in dice if dice[t] == max(dice.values()))
        mine, found = arrays([ref])
        above = found >= threshold
        counts += [(above & mine).sum(), (above & ~mine).sum(), (~above & mine).sum()]
    tp, fp, fn = counts
    assert cell.value("voxel", "dice") == pytest.approx(2 * tp / (2 * tp + fp + fn), abs=1e-12)
    assert cell.value("voxel", "sensitivity") == pytest.approx(tp / (tp + fn), abs=1e-12)
    normal = arrays(healthy[:2])[1]
    points = [t for t in np.unique(normal) if (normal >= t).mean() <= 0.05]
    assert cell.value("voxel", "sensitivity_at_5fpr") == pytest.approx((scores[labels] >= min(points)).mean())


def top(ref: CaseRef) -> float:
    values = np.sort(prepared(ref).image()[0][prepared(ref).brain()].astype(float))[::-1]
    return float(values[: max(1, round(0.01 * values.size))].mean())


def test_subject_level_holds_patients_against_healthy_controls(tmp_path, options, people):
    lesion, healthy = people
    cell = Cell(tmp_path, options, lesion[3:], lesion[:3], healthy[:2], healthy[2:])
    scores = [top(ref) for ref in (*lesion[3:], *healthy[2:])]
    assert cell.value("subject", "auroc") == roc_auc_score([1, 1, 1, 0, 0], scores)
    assert cell.value("subject", "ap") == pytest.approx(average_precision_score([1, 1, 1, 0, 0], scores))
    assert cell.rows["subject", "raw", "auroc"]["n_cases"] == 5
    threshold = cell.rule.common.subject
    wanted = np.mean([score >= threshold for score in scores[:3]])
    assert cell.value("subject", "sensitivity") == pytest.approx(wanted)


def test_a_control_that_is_also_a_patient_is_no_control(tmp_path, options, people, make_case):
    lesion, healthy = people
    before = patient(make_case, "p3-before", 90, healthy=True, patient=lesion[3].patient)
    cell = Cell(tmp_path, options, lesion[3:], lesion[:3], healthy[:2], [*healthy[2:], before])
    assert len(cell.controls) == 3
    assert cell.rows["subject", "raw", "auroc"]["n_cases"] == 5


def test_decisions_at_percentiles_of_healthy_scores_and_the_prevalence_beside_them(tmp_path, options, people):
    lesion, healthy = people
    cell = Cell(tmp_path, options, lesion[3:], lesion[:3], healthy[:2], healthy[2:], percentiles=(95,))
    threshold = cell.rule.common.percentiles[95]["subject"]
    assert threshold == np.nextafter(max(top(ref) for ref in healthy[:2]), np.inf)
    wanted = np.mean([top(ref) >= threshold for ref in lesion[3:]])
    assert cell.value("subject", "sensitivity", "p95") == pytest.approx(wanted)
    assert cell.value("subject", "fpr", "p95") == pytest.approx(np.mean([top(ref) >= threshold for ref in healthy[2:]]))
    assert ("subject", "p95", "auroc") not in cell.rows
    assert cell.value("subject", "prevalence") == 3 / 5
    assert ("slice", "p95", "sensitivity") in cell.rows


def test_without_controls_subject_detection_has_no_number(tmp_path, options, people):
    lesion, healthy = people
    cell = Cell(tmp_path, options, lesion[3:], lesion[:3], healthy[:2])
    mine = {metric for level, _, metric in cell.rows if level == "subject"}
    assert mine == {"sensitivity", "prevalence"}  # an average precision without negatives would be 1


def test_mixed_provenance_gives_no_subject_decision(tmp_path, options, people):
    lesion, healthy = people
    cell = Cell(tmp_path, options, lesion[3:], lesion[:3], healthy[:2], healthy[2:], mixed=True)
    assert {metric for level, _, metric in cell.rows if level == "subject"} == {"auroc", "ap", "prevalence"}
    transferred = {row["reason"] for (_, _, name), row in cell.rows.items() if name.startswith("sensitivity_at_")}
    assert transferred == {"threshold of in-silico healthy scans"}


def test_a_healthy_column_has_false_positives_but_nothing_that_needs_a_lesion(tmp_path, options, people):
    lesion, healthy = people
    cell = Cell(tmp_path, options, healthy[2:], lesion, healthy[:2], healthy[2:])
    scores = arrays(healthy[2:])[1]
    assert cell.value("voxel", "fpr") == pytest.approx((scores >= cell.rule.common.dice["raw"]).mean())
    assert {name for level, _, name in cell.rows if level == "voxel"} == {"fpr", "specificity"}
    assert {name for level, _, name in cell.rows if level == "subject"} == {"fpr", "specificity", "prevalence"}
    assert {name for level, _, name in cell.rows if level == "slice"} <= {"fpr", "specificity", "prevalence"}


@pytest.mark.parametrize(("healthy_column", "metric"), [(False, "dice"), (True, "fpr")])
def test_no_validation_lesion_gives_a_row_with_the_reason(tmp_path, options, people, healthy_column, metric):
    lesion, healthy = people
    cell = Cell(tmp_path, options, healthy[2:] if healthy_column else lesion, (), healthy[:2])
    row = cell.rows["voxel", "raw", metric]
    assert (row["value"], row["reason"]) == (None, "no validation case with a lesion to choose a threshold on")


def test_slice_level_equals_scikit_learn(tmp_path, options, people, make_case):
    labels = np.zeros((12, 10, 8))
    labels[5:7, 4:6, 3:5] = 1
    tested = [make_case(f"s{k}", labels=labels, seed=k) for k in range(3)]
    lesion, healthy = people
    cell = Cell(tmp_path, options, tested, lesion, healthy)
    truth, scores = [], []
    for ref in tested:
        image, brain = prepared(ref).image()[0], prepared(ref).brain()
        for k in range(8):
            if brain[..., k].any():
                truth.append(k in (3, 4))
                scores.append(image[..., k][brain[..., k]].max())
    assert cell.value("slice", "auroc") == pytest.approx(roc_auc_score(truth, scores))
    assert cell.value("slice", "ap") == pytest.approx(average_precision_score(truth, scores))
    table = pd.read_parquet(cell.folder / "slices.parquet")
    assert len(table) == len(truth)
    assert cell.rows["slice", "raw", "auroc"]["n_cases"] == 3


def test_two_patients_with_the_same_files_stay_two_patients(tmp_path, options, people, make_case):
    from dataclasses import replace

    lesion, healthy = people
    twin = replace(lesion[0], id="copy", patient="other/copy")  # the same arrays, hence the same content key
    cell = Cell(tmp_path, options, lesion[3:], [lesion[0], twin, lesion[1]], healthy)
    stored = json.loads((cell.store.path("artefacts/reference/r") / "validation.json").read_text())
    mine = [(item["case"], item["patient"]) for item in stored["cases"] if item["role"] == "lesion"]
    assert mine == [("p0", "c/p0"), ("copy", "other/copy"), ("p1", "c/p1")]


def test_controls_that_are_validation_cases_are_scored_without_their_own_scan(tmp_path, options, people, make_case):
    lesion, _ = people
    odd = patient(make_case, "odd", 70, healthy=True)
    brighter = make_case("brighter", image=prepared(odd).image() * 3, healthy=True)
    cell = Cell(tmp_path, options, lesion[3:], lesion[:3], [brighter], [brighter])
    assert cell.rule.common.subject == np.inf  # the healthy scan outdoes every patient
    stored = json.loads((cell.folder / "thresholds.json").read_text())
    assert stored["c/brighter"]["subject"] is None  # without it there is nothing to choose on
    assert stored["c/p5"]["subject"] == "inf"


def test_an_older_metric_version_is_summarised_again_without_prediction(tmp_path, options, people, monkeypatch):
    lesion, healthy = people
    cell = Cell(tmp_path, options, lesion[3:], lesion[:3], healthy[:2], healthy[2:])
    before = (cell.folder / "metrics.json").read_bytes()
    assert summary.current(cell.folder)
    stale = {"metric_version": 0, "rows": []}
    (cell.folder / "metrics.json").write_text(json.dumps(stale))
    assert not summary.current(cell.folder)
    from cerebench.executors.work import _Runner

    _Runner(None, cell.store, CPU, lambda event: None)._rescore("runs/p@1/intensity/c-t1/seed0")
    assert (cell.folder / "metrics.json").read_bytes() == before


def test_equal_runs_write_equal_tables(tmp_path, options, people):
    lesion, healthy = people
    first = Cell(tmp_path / "a", options, lesion[3:], lesion[:3], healthy[:2])
    second = Cell(tmp_path / "b", options, lesion[3:], lesion[:3], healthy[:2])
    for name in ("cases.parquet", "slices.parquet", "sketches.npz", "metrics.json", "thresholds.json"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
