"""Wrong numbers that other packages print, each with the right one: the same data, the other's rule, and ours."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, f1_score, precision_recall_curve, roc_auc_score

from cerebench.scoring import ScoreSketch


def rare_lesions(n: int = 300_000, share: float = 0.003, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores in (0, 1), as anomaly maps are, and rare lesion voxels."""
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < share
    scores = 1 / (1 + np.exp(-(rng.standard_normal(n) - 3 + 3.2 * labels)))
    return scores.astype(np.float32), labels


def best_dice(scores: np.ndarray, labels: np.ndarray) -> float:
    """Exact, over every distinct score."""
    order = np.argsort(-scores, kind="stable")
    true = np.cumsum(labels[order])
    dice = 2 * true / (np.arange(1, scores.size + 1) + labels.sum())
    ends = np.append(np.diff(scores[order]) != 0, True)
    return float(dice[ends].max())


@pytest.mark.parametrize("factor", [30, 100])
def test_a_monotone_map_changes_no_ranking_metric(factor: float) -> None:
    scores, labels = rare_lesions()
    sketch = ScoreSketch().update(scores, labels)
    scaled = ScoreSketch().update(scores * np.float32(factor), labels)
    assert scaled.average_precision() == pytest.approx(sketch.average_precision(), abs=1e-4)
    assert scaled.auroc() == pytest.approx(sketch.auroc(), abs=1e-4)
    assert scaled.best_dice()[0] == pytest.approx(sketch.best_dice()[0], abs=5e-4)
    # a sigmoid "because the scores leave [0, 1]" saturates in float32 and ties the top of the ranking
    with np.errstate(over="ignore"):
        squashed = 1 / (1 + np.exp(-scores * np.float32(factor)))
    assert average_precision_score(labels, squashed) < sketch.average_precision() - 0.02


def test_quantile_thresholds_miss_the_best_dice() -> None:
    scores, labels = rare_lesions(share=0.001)
    right = best_dice(scores, labels)
    thresholds = np.quantile(scores, np.linspace(0, 1, 200))
    coarse = max(f1_score(labels, scores >= threshold) for threshold in thresholds[-5:])
    assert coarse < right - 0.03
    assert ScoreSketch().update(scores, labels).best_dice()[0] == pytest.approx(right, abs=5e-4)


def test_one_outlier_does_not_change_the_best_dice() -> None:
    scores, labels = rare_lesions()
    before = ScoreSketch().update(scores, labels).best_dice()[0]
    scores[np.flatnonzero(~labels)[0]] = 100 * scores.max()
    right = best_dice(scores, labels)
    thresholds = np.linspace(scores.min(), scores.max(), 100)
    assert max(f1_score(labels, scores >= threshold) for threshold in thresholds[:3]) < right / 5
    found = ScoreSketch().update(scores, labels).best_dice()[0]
    assert found == pytest.approx(right, abs=5e-4)
    assert found == pytest.approx(before, abs=5e-4)


def test_average_precision_is_stepwise() -> None:
    scores, labels = rare_lesions(share=0.02)
    coarse = np.round(scores * 4) / 4
    precision, recall, _ = precision_recall_curve(labels, coarse)
    right = average_precision_score(labels, coarse)
    assert abs(auc(recall, precision) - right) > 0.02
    assert ScoreSketch().update(coarse, labels).average_precision() == pytest.approx(right, abs=1e-9)


def test_air_around_the_head_does_not_count() -> None:
    scores, labels = rare_lesions(100_000)
    rng = np.random.default_rng(1)
    air = np.concatenate([np.zeros(100_000, bool), np.ones(300_000, bool)])
    scores = np.concatenate([scores, 0.01 * rng.random(300_000, dtype=np.float32)])
    labels = np.concatenate([labels, np.zeros(300_000, bool)])
    inside = roc_auc_score(labels[~air], scores[~air])
    assert roc_auc_score(labels, scores) > inside + 0.005
    assert ScoreSketch().update(scores, labels, ignore=air).auroc() == pytest.approx(inside, abs=1e-4)


def test_a_transferred_threshold_is_not_the_oracle() -> None:
    validation = ScoreSketch().update(*rare_lesions(seed=1))
    scores, labels = rare_lesions(seed=2)
    shifted = scores * np.float32(1.5)
    test = ScoreSketch().update(shifted, labels)
    _, threshold = validation.best_dice()
    assert test.dice_at(threshold) == pytest.approx(f1_score(labels, shifted >= np.float32(threshold)), abs=1e-12)
    assert test.dice_at(threshold) < test.best_dice()[0] - 0.02
