"""What is counted of a case: regions, references, and what a method may not do to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.ndimage import distance_transform_edt, median_filter
from sklearn.metrics import average_precision_score, roc_auc_score

from cerebench.contract.info import MethodInfo
from cerebench.contract.method import Method, Prediction
from cerebench.errors import DataError
from cerebench.loop.cases import predict_case
from cerebench.loop.device import StageTimer
from cerebench.loop.feed import load_case, prepared
from cerebench.loop.predict import BatchBackoff
from cerebench.loop.rows import case_rows
from cerebench.loop.thresholds import Thresholds

CPU = torch.device("cpu")


class Intensity(Method):
    info = MethodInfo(name="intensity", summary="The image.", supervision="none", stages=())

    def predict(self, images: Any, context: Any) -> Prediction:
        return Prediction(maps=images[:, 0].clone())


def scored(ref, options, cls: type[Method] = Intensity, **more: Any):
    return predict_case(cls(cls.Settings()), load_case(ref, CPU), options(**more), 0, BatchBackoff(4), StageTimer(CPU))


def metrics(scores, thresholds: Thresholds | None = None) -> dict[tuple[str, str], float]:
    rows = case_rows(scores, thresholds or Thresholds(), (2.0, 2.0, 2.0))
    return {(row[4], row[5]): row[6] for row in rows}


def test_voxel_metrics_equal_scikit_learn_without_ignored_and_outside_voxels(make_case, options):
    rng = np.random.default_rng(3)
    labels = rng.choice(3, size=(12, 10, 8), p=[0.7, 0.2, 0.1])
    image = rng.integers(0, 64, (1, 12, 10, 8)) / 64  # exact in the sketch's codes
    ref = make_case("a", labels=labels, image=image)
    scores = scored(ref, options)
    entry = prepared(ref)
    brain, values = entry.brain(), entry.image()[0]
    region = brain & (labels != 2)
    found = metrics(scores)
    truth = labels[region] == 1
    assert found["raw", "ap"] == pytest.approx(average_precision_score(truth, values[region]), abs=1e-12)
    assert found["raw", "auroc"] == pytest.approx(roc_auc_score(truth, values[region]), abs=1e-12)
    dice = [
        2 * (truth & (values[region] >= t)).sum() / (truth.sum() + (values[region] >= t).sum())
        for t in np.unique(values[region])
    ]
    assert found["raw", "best_dice"] == pytest.approx(max(dice), abs=1e-12)
    assert found["", "lesion_voxels"] == truth.sum()
    assert found["", "lesion_ml"] == pytest.approx(truth.sum() * 8 / 1000)
    assert found["", "lesion_voxels_outside_brain"] == ((labels == 1) & ~brain).sum() > 0
    assert found["", "voxels"] == region.sum()


def test_erosion_takes_the_rim_from_scoring_only(make_case, options):
    ref = make_case("a", erosion_mm=2.0)
    whole, eroded = scored(replace(ref, erosion_mm=0.0), options), scored(ref, options)
    brain = prepared(ref).brain()
    depth = distance_transform_edt(np.pad(brain, 1), sampling=(2, 2, 2))[1:-1, 1:-1, 1:-1]
    assert np.array_equal(eroded.region.numpy(), depth > 2)
    assert 0 < eroded.region.sum() < whole.region.sum()
    assert eroded.score == whole.score
    lesion = prepared(ref).labels() == 1
    assert eroded.outside == (lesion & ~(depth > 2)).sum() > 0
    assert eroded.sketches["raw"].n_positive + eroded.sketches["raw"].n_negative == (depth > 2).sum()


def test_median_is_taken_over_the_brain_before_scoring(make_case, options):
    ref = make_case("a")
    scores = scored(ref, options, post=("raw", "median"))
    brain, values = prepared(ref).brain(), prepared(ref).image()[0]
    filled = np.where(brain, values, values[brain].min())
    wanted = median_filter(filled, size=3, mode="nearest")
    assert np.array_equal(scores.maps["median"].numpy()[brain], wanted[brain])
    assert scores.sketches["median"] != scores.sketches["raw"]


def test_slices_with_pathology_that_does_not_count_are_left_out(make_case, options):
    labels = np.zeros((12, 10, 8), np.uint8)
    labels[6, 5, 2] = 1  # a lesion slice
    labels[6, 5, 3] = 2  # only "ignore"
    labels[0, 0, 4] = 1  # a lesion outside the brain
    labels[6, 5, 5], labels[6, 6, 5] = 1, 2  # both: the lesion counts
    scores = scored(make_case("a", labels=labels), options)
    assert {(item.index, item.lesion) for item in scores.slices} == {(2, True), (5, True)} | {
        (k, False) for k in (1, 6) if prepared(scores.ref).brain()[..., k].any()
    }
    top = prepared(scores.ref).image()[0][..., 2][prepared(scores.ref).brain()[..., 2]].max()
    assert next(item.score for item in scores.slices if item.index == 2) == pytest.approx(float(top))


def test_a_patient_without_reference_is_scored_as_a_case_and_never_as_healthy_voxels(make_case, options):
    scores = scored(make_case("a", labels="none"), options)
    assert scores.sketches == {}
    assert scores.slices == []
    found = metrics(scores)
    assert set(found) == {("", "voxels"), ("", "score"), ("", "label")}
    assert found["", "label"] == 1


def test_slices_inherit_the_diagnosis_where_the_protocol_says_so(make_case, options):
    for name, more, sick in (("a", {"labels": "none"}, True), ("b", {"labels": "none", "healthy": True}, False)):
        scores = scored(make_case(name, **more), options, slice_labels="inherit")
        inside = np.flatnonzero(prepared(scores.ref).brain().any(axis=(0, 1)))
        assert [(item.index, item.lesion) for item in scores.slices] == [(int(k), sick) for k in inside]
        assert scores.sketches == {} or not sick


def test_a_healthy_case_counts_every_voxel_as_normal(make_case, options):
    scores = scored(make_case("a", healthy=True), options)
    brain = prepared(scores.ref).brain()
    assert (scores.sketches["raw"].n_positive, scores.sketches["raw"].n_negative) == (0, brain.sum())
    found = metrics(scores, Thresholds(dice={"raw": 0.5}, healthy={"raw": {1: 0.9, 5: 0.8, 10: 0.7}}))
    values = prepared(scores.ref).image()[0][brain]
    assert found["raw", "fpr"] == pytest.approx((values >= 0.5).mean())
    assert not {("raw", "ap"), ("raw", "dice"), ("raw", "sensitivity_at_5fpr")} & set(found)


def test_small_components_go_from_the_transferred_threshold_alone(make_case, options):
    image = np.full((1, 12, 10, 8), 0.1)
    image[0, 6, 5, 4] = 0.9  # one voxel of 8 mm³ stays, at 1 mm it would go
    labels = np.zeros((12, 10, 8))
    labels[6, 5, 4] = 1
    scores = scored(make_case("a", labels=labels, image=image), options)
    thresholds = Thresholds(dice={"raw": 0.5}, healthy={"raw": {1: 0.5, 5: 0.5, 10: 0.5}})
    assert metrics(scores, thresholds)["raw", "dice"] == 1.0
    tiny = {row[5]: row[6] for row in case_rows(scores, thresholds, (1.0, 1.0, 1.0)) if row[4] == "raw"}
    assert (tiny["tp"], tiny["fn"], tiny["dice"], tiny["sensitivity"]) == (0, 1, 0.0, 0.0)
    assert (tiny["ap"], tiny["best_dice"], tiny["sensitivity_at_5fpr"], tiny["tp_at_5fpr"]) == (1.0, 1.0, 1.0, 1.0)


def test_confusion_counts_at_the_transferred_threshold(make_case, options):
    ref = make_case("a", seed=5)
    found = metrics(scored(ref, options), Thresholds(dice={"raw": 0.6}))
    brain, values, lesion = prepared(ref).brain(), prepared(ref).image()[0], prepared(ref).labels() == 1
    above = (values >= 0.6) & brain
    tp, fp = (above & lesion).sum(), (above & ~lesion).sum()
    fn, tn = (lesion & ~above).sum(), (brain & ~lesion & ~above).sum()
    assert [found["raw", name] for name in ("tp", "fp", "fn", "tn")] == [tp, fp, fn, tn]
    assert found["raw", "dice"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert found["raw", "specificity"] == pytest.approx(tn / (tn + fp))


class Vandal(Intensity):
    info = Intensity.info.model_copy(update={"name": "vandal"})

    def predict(self, images: Any, context: Any) -> Prediction:
        maps = images[:, 0].clone()
        context.brain.zero_()
        images.fill_(9.0)
        return Prediction(maps=maps)


def test_writing_into_inputs_changes_neither_region_nor_cache(make_case, options):
    ref = make_case("a")
    before = prepared(ref).image().copy(), prepared(ref).brain().copy()
    honest, vandal = scored(ref, options), scored(ref, options, Vandal)
    assert torch.equal(vandal.region, honest.region)
    assert vandal.sketches["raw"] == honest.sketches["raw"]
    assert np.array_equal(prepared(ref).image(), before[0])
    assert np.array_equal(prepared(ref).brain(), before[1])


class Sampler(Intensity):
    info = Intensity.info.model_copy(update={"name": "sampler"})

    def predict(self, images: Any, context: Any) -> Prediction:
        return Prediction(maps=torch.rand_like(images[:, 0]))


def test_a_sampling_method_gives_a_case_the_same_map_whatever_came_before(make_case, options):
    first, second = make_case("a"), make_case("b")
    alone = scored(second, options, Sampler).maps["raw"]
    scored(first, options, Sampler)
    torch.rand(17)
    after = scored(second, options, Sampler).maps["raw"]
    assert torch.equal(alone, after)
    assert not torch.equal(alone, scored(first, options, Sampler).maps["raw"])


def test_anomaly_detection_cannot_ask_for_the_lesion_mask():
    for declared in ({"inputs": frozenset({"lesion-mask"})}, {"unit": "lesion"}):
        with pytest.raises(ValidationError, match="detects anomalies"):
            MethodInfo(name="cheat", summary="x", **declared)


class Curious(Method):
    info = MethodInfo(
        name="curious",
        summary="Keeps what it sees.",
        task="lesion-classification",
        supervision="labels",
        unit="lesion",
        inputs=frozenset({"lesion-mask", "covariates"}),
        stages=(),
    )

    def predict(self, images: Any, context: Any) -> Prediction:
        Curious.seen = images.shape, context.lesion_mask.clone(), dict(context.covariates[0])
        context.lesion_mask.zero_()
        context.covariates[0]["age"] = -1
        return Prediction(scores=torch.tensor([0.3]))


def test_lesion_unit_gets_cube_mask_and_covariates_but_no_way_back(make_case, options):
    labels = np.zeros((12, 10, 8))
    labels[5:7, 4:6, 3:5] = 1
    ref = make_case("a", labels=labels, label=1, covariates={"age": 60.0})
    scores = scored(ref, options, Curious, task="lesion-classification")
    shape, mask, covariates = Curious.seen
    assert tuple(shape) == (1, 1, 4, 4, 4)
    assert int(mask.sum()) == 8
    assert covariates == {"age": 60.0}
    assert ref.covariates == {"age": 60.0}
    assert int(scores.anomaly.sum()) == 8
    assert scores.sketches == {}


def test_a_lesion_case_without_lesion_is_a_clear_error(make_case, options):
    ref = make_case("empty", labels=np.zeros((12, 10, 8)), label=0)
    with pytest.raises(DataError, match="case empty: its mask holds no lesion voxel"):
        scored(ref, options, Curious, task="lesion-classification")
