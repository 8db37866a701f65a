"""Sketch metrics against scikit-learn and against brute force."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, confusion_matrix, f1_score, precision_recall_curve, roc_auc_score

from cerebench.scoring import ScoreSketch, SketchResolutionWarning

HALF = st.floats(width=16, allow_nan=False, allow_infinity=False)


@st.composite
def labelled_maps(draw: st.DrawFn, low: int = 2, high: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """A float16 map with ties, and labels of both classes."""
    n = draw(st.integers(low, high))
    pool = draw(st.lists(HALF, min_size=1, max_size=n))
    scores = np.array([pool[i] for i in draw(st.lists(st.integers(0, len(pool) - 1), min_size=n, max_size=n))])
    labels = draw(arrays(np.bool_, n))
    labels[0], labels[1] = True, False
    return scores.astype(np.float16), labels


def best_dice_sklearn(labels: np.ndarray, scores: np.ndarray) -> float:
    precision, recall, _ = precision_recall_curve(labels, scores)
    with np.errstate(invalid="ignore"):
        return float(np.nanmax(2 * precision * recall / (precision + recall)))


def heavy_tailed(kind: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.02
    labels[:2] = True, False
    noise = rng.standard_normal(n)
    scores = {
        "log-normal": lambda: np.exp(2 * noise + 2 * labels),
        "cauchy": lambda: rng.standard_cauchy(n) + 3 * labels,
        "pareto-negative": lambda: -rng.pareto(1.0, n) / (1 + 4 * labels),
        "tied": lambda: np.round(noise + labels, 1),
        "constant": lambda: np.full(n, 0.3),
        "half-background": lambda: np.where(rng.random(n) < 0.5, 0.0, np.abs(noise) + labels),
        "tiny": lambda: 1e-30 * np.exp(noise + labels),
    }[kind]()
    return scores.astype(np.float32), labels


KINDS = ["log-normal", "cauchy", "pareto-negative", "tied", "constant", "half-background", "tiny"]


@pytest.mark.parametrize(("size", "repeats"), [(200, 1), (50, 2000)], ids=["sorted", "in tables"])
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_float16_maps_are_exact(size: int, repeats: int, data: st.DataObject) -> None:
    scores, labels = (np.tile(part, repeats) for part in data.draw(labelled_maps(high=size, low=size // 3)))
    sketch = ScoreSketch().update(scores, labels)
    exact = scores.astype(np.float64)
    assert sketch.average_precision() == pytest.approx(average_precision_score(labels, exact), abs=1e-9)
    assert sketch.auroc() == pytest.approx(roc_auc_score(labels, exact), abs=1e-9)
    dice, threshold = sketch.best_dice()
    assert dice == pytest.approx(best_dice_sklearn(labels, exact), abs=1e-9)
    assert dice == pytest.approx(f1_score(labels, exact >= threshold), abs=1e-9)
    assert threshold in exact
    tn, fp, fn, tp = confusion_matrix(labels, exact >= threshold, labels=[False, True]).ravel()
    assert sketch.counts_at(threshold) == (tp, fp, fn, tn)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=4)
def test_float32_maps_stay_within_1e4(kind: str, seed: int) -> None:
    scores, labels = heavy_tailed(kind, 150_000, seed)
    sketch = ScoreSketch().update(scores, labels)
    assert sketch.average_precision() == pytest.approx(average_precision_score(labels, scores), abs=1e-4)
    assert sketch.auroc() == pytest.approx(roc_auc_score(labels, scores), abs=1e-4)
    dice, threshold = sketch.best_dice()
    assert dice == pytest.approx(best_dice_sklearn(labels, scores), abs=1e-4)
    # the threshold is the lower edge of a code, so it splits the original map as promised, not only the stored one
    assert dice == pytest.approx(f1_score(labels, scores >= np.float32(threshold)), abs=1e-12)
    healthy = sketch.threshold_at_fpr(0.05)
    assert sketch.fpr_at(healthy) == np.mean(scores[~labels] >= np.float32(healthy)) <= 0.05
    assert sketch.sensitivity_at_fpr(0.05) == np.mean(scores[labels] >= np.float32(healthy))


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_hold_the_float32_metrics(kind: str) -> None:
    scores, labels = heavy_tailed(kind, 5000, 5)
    sketch = ScoreSketch().update(scores, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SketchResolutionWarning)
        bounds = sketch.bounds()
    exact = {
        "ap": average_precision_score(labels, scores),
        "auroc": roc_auc_score(labels, scores),
        "best_dice": best_dice_sklearn(labels, scores),
    }
    stored = {"ap": sketch.average_precision(), "auroc": sketch.auroc(), "best_dice": sketch.best_dice()[0]}
    for name, (low, high) in bounds.items():
        assert low - 1e-12 <= exact[name] <= high + 1e-12, name
        assert low - 1e-12 <= stored[name] <= high + 1e-12, name


def test_bounds_are_the_best_and_worst_order() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 4, 400)
    labels = rng.random(400) < 0.3
    sketch = ScoreSketch().update(groups.astype(np.float32), labels)
    with pytest.warns(SketchResolutionWarning, match="ap in"):
        bounds = sketch.bounds()
    best = groups + np.where(labels, 0.5, 0.0)
    worst = groups + np.where(labels, 0.0, 0.5) + np.where(labels, 1e-6 * np.arange(400), 0)
    assert bounds["ap"] == pytest.approx(
        (average_precision_score(labels, worst), average_precision_score(labels, best)), abs=1e-9
    )
    assert bounds["auroc"] == pytest.approx(
        (roc_auc_score(labels, groups + np.where(labels, 0, 0.5)), roc_auc_score(labels, best)), abs=1e-12
    )
    assert bounds["best_dice"] == pytest.approx(
        (best_dice_sklearn(labels, groups), best_dice_sklearn(labels, best)), abs=1e-12
    )


def test_narrow_bounds_do_not_warn() -> None:
    scores, labels = heavy_tailed("log-normal", 200_000, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bounds = ScoreSketch().update(scores, labels).bounds()
    assert all(high - low < 1e-3 for low, high in bounds.values())


def test_a_constant_offset_that_eats_the_resolution_is_told() -> None:
    scores, labels = heavy_tailed("log-normal", 20_000, 3)
    with pytest.warns(SketchResolutionWarning, match="offset"):
        ScoreSketch().update(scores / scores.max() + 1000, labels).bounds()


@given(labelled_maps(), st.sampled_from([0.0, 0.05, 0.1, 0.5, 0.95, 1.0]))
@settings(deadline=None, max_examples=40)
def test_operating_points_against_brute_force(pair: tuple[np.ndarray, np.ndarray], rate: float) -> None:
    scores, labels = (part.astype(np.float64) for part in pair)
    labels = labels.astype(bool)
    sketch = ScoreSketch().update(*pair)
    thresholds = np.append(np.unique(scores), np.inf)
    fpr = np.array([(scores[~labels] >= t).mean() for t in thresholds])
    tpr = np.array([(scores[labels] >= t).mean() for t in thresholds])
    assert sketch.threshold_at_fpr(rate) == thresholds[fpr <= rate].min()
    assert sketch.sensitivity_at_fpr(rate) == tpr[fpr <= rate].max()
    assert sketch.fpr_at_tpr(rate) == fpr[tpr >= rate].min()
    for threshold, f, t in zip(thresholds, fpr, tpr, strict=True):
        assert sketch.sensitivity_at(threshold) == t
        assert sketch.fpr_at(threshold) == f
        assert sketch.specificity_at(threshold) == pytest.approx(1 - f, abs=1e-15)
        predicted = scores >= threshold
        overlap = 2 * (predicted & labels).sum() / (predicted.sum() + labels.sum())
        assert sketch.dice_at(threshold) == pytest.approx(overlap, abs=1e-12)


@given(labelled_maps(low=8), st.lists(st.integers(0, 200), max_size=5))
@settings(deadline=None, max_examples=40)
def test_merging_splits_equals_one_pass(pair: tuple[np.ndarray, np.ndarray], cuts: list[int]) -> None:
    scores, labels = pair
    whole = ScoreSketch().update(scores, labels)
    at = sorted(cuts)
    parts = [ScoreSketch().update(s, y) for s, y in zip(np.split(scores, at), np.split(labels, at), strict=True)]
    assert ScoreSketch.merge(parts) == whole
    assert sum(parts, ScoreSketch()) == whole
    assert ScoreSketch.from_arrays(whole.to_arrays()) == whole
    repeated = ScoreSketch()
    for s, y in zip(np.split(scores, at), np.split(labels, at), strict=True):
        repeated.update(s, y)
    assert repeated == whole


def test_undefined_metrics_are_nan() -> None:
    healthy = ScoreSketch().update(np.arange(4.0), np.zeros(4))
    assert healthy.n_positive == 0
    assert healthy.n_negative == 4
    for value in (
        healthy.average_precision(),
        healthy.auroc(),
        *healthy.best_dice(),
        healthy.dice_at(1.0),
        healthy.sensitivity_at(1.0),
        healthy.sensitivity_at_fpr(0.1),
        healthy.fpr_at_tpr(0.95),
    ):
        assert math.isnan(value)
    assert healthy.threshold_at_fpr(0.25) == 3.0
    assert healthy.fpr_at(3.0) == 0.25
    ill = ScoreSketch().update(np.arange(4.0), np.ones(4))
    assert ill.average_precision() == 1.0
    assert ill.best_dice() == (1.0, 0.0)
    for value in (ill.auroc(), ill.fpr_at(1.0), ill.specificity_at(1.0), ill.threshold_at_fpr(0.1)):
        assert math.isnan(value)
    assert math.isnan(ScoreSketch().auroc())
    assert ScoreSketch().counts_at(0.0) == (0, 0, 0, 0)


def test_ties_above_the_rate_give_an_infinite_threshold() -> None:
    sketch = ScoreSketch().update(np.ones(10), np.arange(10) < 3)
    assert sketch.threshold_at_fpr(0.1) == math.inf
    assert sketch.sensitivity_at_fpr(0.1) == 0.0
    assert sketch.counts_at(math.inf) == (0, 0, 3, 7)


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_rates_outside_their_range_are_refused(rate: float) -> None:
    sketch = ScoreSketch().update(np.arange(4.0), np.arange(4) > 1)
    for metric in (sketch.threshold_at_fpr, sketch.sensitivity_at_fpr, sketch.fpr_at_tpr):
        with pytest.raises(ValueError, match=r"rate in \[0, 1\]"):
            metric(rate)
    with pytest.raises(ValueError, match="threshold is nan"):
        sketch.dice_at(math.nan)
