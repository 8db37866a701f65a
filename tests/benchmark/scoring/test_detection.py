"""Slice-, subject- and lesion-level metrics against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn import metrics

from cerebench.scoring.detection import bootstrap_detection, detection_metrics, youden_threshold


def items(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.4
    scores = 1 / (1 + np.exp(-(rng.standard_normal(n) + 1.5 * labels - 0.7)))
    return scores, labels, [f"p{i // 2}" for i in range(n)]


def test_metrics_are_scikit_learns() -> None:
    scores, labels, _ = items()
    threshold = float(scores[7])  # an item exactly at the threshold is positive
    predicted = scores >= threshold
    assert detection_metrics(scores, labels, threshold, probabilities=True) == pytest.approx(
        {
            "auroc": metrics.roc_auc_score(labels, scores),
            "ap": metrics.average_precision_score(labels, scores),
            "accuracy": metrics.accuracy_score(labels, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
            "sensitivity": metrics.recall_score(labels, predicted),
            "specificity": metrics.recall_score(~labels, ~predicted),
            "fpr": 1 - metrics.recall_score(~labels, ~predicted),
            "brier": metrics.brier_score_loss(labels, scores),
        },
        abs=1e-12,
    )
    assert set(detection_metrics(scores, labels)) == {"auroc", "ap"}
    assert set(detection_metrics(scores, labels, math.nan)) == {"auroc", "ap"}


@pytest.mark.filterwarnings("error")
def test_one_class_leaves_nan() -> None:
    healthy = detection_metrics([0.1, 0.9], [0, 0], 0.5, probabilities=True)
    assert all(math.isnan(healthy[name]) for name in ("auroc", "ap", "sensitivity", "balanced_accuracy"))
    assert healthy["specificity"] == healthy["fpr"] == healthy["accuracy"] == 0.5
    ill = detection_metrics([0.1, 0.9], [1, 1], 0.5)
    assert all(math.isnan(ill[name]) for name in ("auroc", "specificity", "fpr", "balanced_accuracy"))
    assert ill["ap"] == 1.0
    assert all(math.isnan(value) for value in detection_metrics([], [], 0.5, probabilities=True).values())


def test_youden_against_brute_force() -> None:
    scores, labels, _ = items(80)
    scores = np.round(scores, 1)
    threshold = youden_threshold(scores, labels)
    candidates = np.unique(scores)
    gains = np.array([(scores[labels] >= t).mean() - (scores[~labels] >= t).mean() for t in candidates])
    assert threshold == candidates[gains >= gains.max() - 1e-12].max()
    assert youden_threshold([0.5, 0.5], [0, 1]) == math.inf
    assert math.isnan(youden_threshold([0.1, 0.2], [1, 1]))


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1, np.nan], [0, 1], "NaN"),
        ([0.1, 0.2], [0, 2], "other than 0 and 1"),
        ([0.1], [0, 1], "one of each"),
    ],
)
def test_bad_input_is_refused(scores: list[float], labels: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detection_metrics(scores, labels)
    with pytest.raises(ValueError, match="probabilities"):
        detection_metrics([0.5, 1.5], [0, 1], probabilities=True)


def test_intervals_agree_with_scipys_bootstrap() -> None:
    scores, labels, _ = items(400, seed=3)
    patients = [str(i) for i in range(400)]
    found = bootstrap_detection(scores, labels, patients, 0.5, probabilities=True)
    exact = detection_metrics(scores, labels, 0.5, probabilities=True)
    assert {name: interval.value for name, interval in found.items()} == exact
    rng = np.random.default_rng(0)
    positive, negative = scores[labels], scores[~labels]

    def auroc(a: np.ndarray, b: np.ndarray) -> float:
        return metrics.roc_auc_score(np.repeat([1, 0], [a.size, b.size]), np.concatenate([a, b]))

    references = {
        "auroc": bootstrap(
            (positive, negative), auroc, vectorized=False, n_resamples=300, method="percentile", rng=rng
        ),
        "sensitivity": bootstrap(((positive >= 0.5).astype(float),), np.mean, n_resamples=2000, rng=rng),
        "brier": bootstrap(((scores - labels) ** 2,), np.mean, n_resamples=2000, rng=rng),
    }
    for name, reference in references.items():
        interval, theirs = found[name], reference.confidence_interval
        width = theirs.high - theirs.low
        assert not interval.flagged
        assert interval.low == pytest.approx(theirs.low, abs=0.2 * width), name
        assert interval.high == pytest.approx(theirs.high, abs=0.2 * width), name


def test_patients_are_resampled_whole() -> None:
    scores, labels, patients = items()
    paired = bootstrap_detection(np.repeat(scores, 3), np.repeat(labels, 3), [p for p in patients for _ in range(3)])
    plain = bootstrap_detection(scores, labels, patients)
    assert paired["auroc"].n_patients == plain["auroc"].n_patients == 150
    assert paired["auroc"].low == pytest.approx(plain["auroc"].low, abs=1e-9)


def test_no_replicate_loses_a_class() -> None:
    scores = np.array([0.1, 0.3, 0.5, 0.2, 0.4, 0.6, 0.45, 0.35])
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    found = bootstrap_detection(scores, labels, [str(i) for i in range(8)])["auroc"]
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < found.value < found.high <= 1
    assert found.flagged


def test_many_distinct_scores_are_binned_without_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels, patients = items(500)
    fine = bootstrap_detection(scores, labels, patients, 0.4, resamples=200)
    monkeypatch.setattr("cerebench.scoring.detection.MAX_BINS", 128)
    coarse = bootstrap_detection(scores, labels, patients, 0.4, resamples=200)
    for name, interval in fine.items():
        width = interval.high - interval.low
        assert (coarse[name].low, coarse[name].high) == pytest.approx((interval.low, interval.high), abs=0.03 * width)
