"""Slice-, subject- and lesion-level metrics: one score an item; positive when the score is at least the threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from cerebench.scoring.intervals import Interval

Floats = npt.NDArray[np.float64]

MAX_BINS = 512


def detection_metrics(
    scores: npt.ArrayLike, labels: npt.ArrayLike, threshold: float | None = None, probabilities: bool = False
) -> dict[str, float]:
    """Metrics of one score an item; nan where a class they need is absent.

    Args:
        scores: ``[n]``, finite.
        labels: ``[n]`` bool or 0/1.
        threshold: chosen on validation data; ``None`` or nan leaves out accuracy, balanced accuracy, sensitivity,
            specificity and FPR.
        probabilities: whether the scores are probabilities of the positive class; adds ``brier``.

    Raises:
        ValueError: shapes differ, scores are not finite, labels are not 0/1, or probabilities leave [0, 1].
    """
    from sklearn import metrics

    values, truth = _checked(scores, labels)
    both = 0 < truth.sum() < truth.size
    found = {
        "auroc": float(metrics.roc_auc_score(truth, values)) if both else math.nan,
        "ap": float(metrics.average_precision_score(truth, values)) if truth.any() else math.nan,
    }
    if threshold is not None and not math.isnan(threshold):
        predicted = values >= threshold
        sensitivity = float(predicted[truth].mean()) if truth.any() else math.nan
        specificity = float((~predicted[~truth]).mean()) if not truth.all() else math.nan
        found |= {
            "accuracy": float(metrics.accuracy_score(truth, predicted)) if truth.size else math.nan,
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "fpr": 1 - specificity,
        }
    if probabilities:
        _check_probabilities(values)
        found["brier"] = float(np.mean((values - truth) ** 2)) if truth.size else math.nan
    return found


def youden_threshold(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """The highest score that maximises sensitivity + specificity; nan where a class is absent.

    ``inf`` (nothing is positive) where no score does better than chance.
    """
    from sklearn.metrics import roc_curve

    values, truth = _checked(scores, labels)
    if not 0 < truth.sum() < truth.size:
        return math.nan
    fpr, tpr, thresholds = roc_curve(truth, values, drop_intermediate=False)
    return float(thresholds[np.argmax(tpr - fpr)])


def bootstrap_detection(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    patients: Sequence[str],
    threshold: float | None = None,
    probabilities: bool = False,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Intervals of :func:`detection_metrics`, all items of a patient resampled together.

    Patients are drawn within strata (only negative, only positive, both), so that no replicate loses a class.

    Args:
        patients: ``[n]`` patient of each item.
        resamples, seed, level: as for :func:`cerebench.scoring.intervals.bootstrap_sketches`.
    """
    from cerebench.scoring import intervals, pooled

    values, truth = _checked(scores, labels)
    groups, names = intervals.patient_groups(patients, values.size)
    positives, negatives, n_above = _histograms(values, truth, groups, len(names), threshold)
    statistics: dict[str, pooled.Statistic] = {"auroc": pooled.auroc, "ap": pooled.average_precision}
    if threshold is not None and not math.isnan(threshold):
        statistics |= {
            "accuracy": pooled.accuracy_at(n_above),
            "balanced_accuracy": pooled.balanced_accuracy_at(n_above),
            "sensitivity": pooled.sensitivity_at(n_above),
            "specificity": pooled.specificity_at(n_above),
            "fpr": pooled.fpr_at(n_above),
        }
    exact = detection_metrics(values, truth, threshold, probabilities)
    strata = 2 * (positives.sum(axis=1) > 0) + (negatives.sum(axis=1) > 0)
    found = intervals.bootstrap_histograms(positives, negatives, statistics, exact, resamples, seed, level, strata)
    if probabilities:
        errors = np.bincount(groups, (values - truth) ** 2, minlength=len(names))
        rest = np.bincount(groups, minlength=len(names)) - errors
        # a mean of squared errors is a share of the items, with errors in place of counts
        shares = np.stack([errors, rest], axis=1)
        brier = {"brier": pooled.sensitivity_at(1)}
        found |= intervals.bootstrap_histograms(shares, shares * 0, brier, exact, resamples, seed, level, strata)
    return found


def _histograms(
    values: Floats, truth: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64], n_groups: int, threshold: float | None
) -> tuple[Floats, Floats, int]:
    """Positives and negatives ``[n_groups, K]`` per bin from the highest scores down, and the bins above the threshold.

    Every distinct score is a bin, or quantiles of each class where there are many; the threshold is always an edge.
    """
    edges = np.unique(values)
    if edges.size > MAX_BINS:
        shares = np.linspace(0, 1, MAX_BINS // 2)
        classes = [values[truth == label] for label in (False, True) if (truth == label).any()]
        edges = np.concatenate([np.quantile(part, shares, method="inverted_cdf") for part in classes])
    extra = [threshold] if threshold is not None and math.isfinite(threshold) else []
    edges = np.unique(np.concatenate([edges, extra, [-np.inf]]))
    n_above = 0 if threshold is None or math.isnan(threshold) else int((edges >= threshold).sum())
    bins = edges.size - np.searchsorted(edges, values, side="right")
    tables = np.zeros((2, n_groups, edges.size))
    np.add.at(tables, (truth.astype(np.int64), groups, bins), 1)
    return tables[1], tables[0], n_above


def _checked(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.bool_]]:
    values = np.asarray(scores, dtype=np.float64)
    truth = np.asarray(labels)
    if values.ndim != 1 or values.shape != truth.shape:
        raise ValueError(f"scores {values.shape} and labels {truth.shape}: expected one of each an item")
    if not np.isfinite(values).all():
        raise ValueError("scores hold NaN or infinite values: expected finite numbers")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("labels hold values other than 0 and 1")
    return values, truth.astype(bool)


def _check_probabilities(values: Floats) -> None:
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"scores span [{values.min():g}, {values.max():g}]: expected probabilities in [0, 1]")
