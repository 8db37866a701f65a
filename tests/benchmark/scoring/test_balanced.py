"""The balanced threshold against brute force with scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from cerebench.scoring.balanced import best_mean_dice
from cerebench.scoring.sketch import ScoreSketch


def group(seed: int, size: int, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores on a grid of 1/64 (exact in the sketch, with ties) and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.random(size) < 0.3
    return np.round((rng.random(size) + gain * labels) * 64) / 64, labels


def sketch(scores: np.ndarray, labels: np.ndarray) -> ScoreSketch:
    return ScoreSketch().update(scores.astype(np.float32), labels)


def brute(groups: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    candidates = np.unique(np.concatenate([scores for scores, _ in groups]))
    means = {t: np.mean([f1_score(labels, scores >= t) for scores, labels in groups]) for t in candidates}
    best = max(means.values())
    return best, max(t for t, value in means.items() if math.isclose(value, best, rel_tol=1e-12))


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_over_groups_is_highest_there(seed):
    groups = [group(seed, 2000, 0.6), group(seed + 50, 40, -0.3), group(seed + 90, 150, 0.2)]
    value, threshold = best_mean_dice([sketch(*one) for one in groups])
    best, wanted = brute(groups)
    assert value == pytest.approx(best)
    assert threshold == wanted


def test_a_large_group_does_not_outvote_a_small_one():
    high, low = group(1, 5000, 0.9), group(2, 50, 0.9)
    small = (low[0] - 0.5, low[1])  # needs a lower threshold
    pooled = ScoreSketch.merge([sketch(*high), sketch(*small)])
    assert best_mean_dice([sketch(*high), sketch(*small)])[1] < pooled.best_dice()[1]
    assert best_mean_dice([sketch(*high)]) == pytest.approx(sketch(*high).best_dice())


def test_groups_without_positives_do_not_count():
    scores, labels = group(3, 100, 0.5)
    nothing = sketch(scores, np.zeros_like(labels))
    assert best_mean_dice([sketch(scores, labels), nothing]) == best_mean_dice([sketch(scores, labels)])
    assert all(map(math.isnan, best_mean_dice([nothing])))
    assert all(map(math.isnan, best_mean_dice([])))
