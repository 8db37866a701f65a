"""Pooled voxel metrics as smooth functions of summed histograms, for many bootstrap replicates at once.

Histograms are arrays ``[..., K]`` of counts per bin, bins running from the highest scores down; leading axes are
replicates. Each function returns the metric ``[...]`` and, if asked, its derivatives with respect to the counts of
positives and negatives (``[..., K]`` each), from which the influence of each patient follows. Within a bin, positives
and negatives are taken as evenly mixed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Derivatives = tuple[Floats, Floats]
Statistic = Callable[[Floats, Floats], tuple[Floats, Floats, Floats]]
"""(positives, negatives) → (metric, derivative by positives, derivative by negatives)."""


def _sum(counts: Floats) -> Floats:
    total: Floats = counts.sum(axis=-1, keepdims=True)
    return total


def _above(counts: Floats) -> Floats:
    """Counts above the middle of each bin."""
    middle: Floats = np.cumsum(counts, axis=-1) - counts / 2
    return middle


def _below(counts: Floats) -> Floats:
    """Counts below the middle of each bin."""
    middle: Floats = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1] - counts / 2
    return middle


def average_precision(positives: Floats, negatives: Floats) -> tuple[Floats, Floats, Floats]:
    """Step-wise average precision."""
    total = _sum(positives)
    true, false = _above(positives), _above(negatives)
    predicted = np.maximum(true + false, 0.5)
    precision = true / predicted
    value = _sum(positives * precision) / total
    by_true = positives * false / predicted**2
    by_false = -positives * true / predicted**2
    return value[..., 0], (precision - value + _below(by_true)) / total, _below(by_false) / total


def auroc(positives: Floats, negatives: Floats) -> tuple[Floats, Floats, Floats]:
    """Area under the ROC curve."""
    n_positive, n_negative = _sum(positives), _sum(negatives)
    beaten = _below(negatives) / n_negative
    beaten_by = _above(positives) / n_positive
    value = _sum(positives * beaten) / n_positive
    return value[..., 0], (beaten - value) / n_positive, (beaten_by - value) / n_negative


def best_dice(positives: Floats, negatives: Floats) -> tuple[Floats, Floats, Floats]:
    """Highest Dice over the bins' lower edges; at the maximum the threshold's own movement does not count."""
    total = _sum(positives)
    true, predicted = np.cumsum(positives, axis=-1), np.cumsum(positives + negatives, axis=-1)
    curve = 2 * true / (predicted + total)
    best = curve.argmax(axis=-1)[..., None]
    value = np.take_along_axis(curve, best, axis=-1)
    size = np.take_along_axis(predicted, best, axis=-1) + total
    inside = np.arange(positives.shape[-1]) <= best
    return value[..., 0], (2 * inside - value * (inside + 1.0)) / size, -value * inside / size


def dice_at(n_bins: int) -> Statistic:
    """Dice when the first ``n_bins`` bins are predicted positive."""

    def dice(positives: Floats, negatives: Floats) -> tuple[Floats, Floats, Floats]:
        inside = np.arange(positives.shape[-1]) < n_bins
        size = _sum(positives * inside) + _sum(negatives * inside) + _sum(positives)
        value = 2 * _sum(positives * inside) / size
        return value[..., 0], (2 * inside - value * (inside + 1.0)) / size, -value * inside / size

    return dice


def sensitivity_at(n_bins: int) -> Statistic:
    """Share of positives in the first ``n_bins`` bins."""

    def sensitivity(positives: Floats, negatives: Floats) -> tuple[Floats, Floats, Floats]:
        inside = np.arange(positives.shape[-1]) < n_bins
        total = _sum(positives)
        value = _sum(positives * inside) / total
        return value[..., 0], (inside - value) / total, np.zeros_like(negatives)

    return sensitivity


def fpr_at(n_bins: int) -> Statistic:
    """Share of negatives in the first ``n_bins`` bins."""
    share = sensitivity_at(n_bins)

    def fpr(positives: Floats, negatives: Floats) -> tuple[Floats, Floats, Floats]:
        value, by_negatives, by_positives = share(negatives, positives)
        return value, by_positives, by_negatives

    return fpr


def specificity_at(n_bins: int) -> Statistic:
    """Share of negatives outside the first ``n_bins`` bins."""
    share = fpr_at(n_bins)

    def specificity(positives: Floats, negatives: Floats) -> tuple[Floats, Floats, Floats]:
        value, by_positives, by_negatives = share(positives, negatives)
        return 1 - value, -by_positives, -by_negatives

    return specificity


def accuracy_at(n_bins: int) -> Statistic:
    """Share of right decisions when the first ``n_bins`` bins are predicted positive."""

    def accuracy(positives: Floats, negatives: Floats) -> tuple[Floats, Floats, Floats]:
        inside = np.arange(positives.shape[-1]) < n_bins
        total = _sum(positives) + _sum(negatives)
        value = (_sum(positives * inside) + _sum(negatives * ~inside)) / total
        return value[..., 0], (inside - value) / total, (~inside - value) / total

    return accuracy


def balanced_accuracy_at(n_bins: int) -> Statistic:
    """Mean of sensitivity and specificity."""
    parts = sensitivity_at(n_bins), specificity_at(n_bins)

    def balanced_accuracy(positives: Floats, negatives: Floats) -> tuple[Floats, Floats, Floats]:
        one, other = (part(positives, negatives) for part in parts)
        return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2, (one[2] + other[2]) / 2

    return balanced_accuracy


def _rate_at_rate(wanted: Floats, given: Floats, rate: float) -> tuple[Floats, Floats, Floats]:
    """Share of ``wanted`` above the score that a share ``rate`` of ``given`` exceeds, linear within the bin."""
    n_wanted, n_given = _sum(wanted), _sum(given)
    reached = np.cumsum(given, axis=-1) / n_given
    last = given.shape[-1] - 1
    at = np.minimum((reached < rate).sum(axis=-1), last)[..., None]

    def take(values: Floats) -> Any:
        return np.take_along_axis(values, at, axis=-1)

    density = np.maximum(take(given) / n_given, 1e-12)
    part = 1 - np.clip((take(reached) - rate) / density, 0, 1)
    bins = np.arange(given.shape[-1])
    inside = (bins < at) + (bins == at) * part
    value = _sum(wanted * inside) / n_wanted
    # the slope over neighbouring bins: one bin alone is too noisy
    near = np.abs(bins - at) <= SLOPE_BINS
    slope = (_sum(wanted * near) / n_wanted) / np.maximum(_sum(given * near) / n_given, 1e-12)
    return value[..., 0], (inside - value) / n_wanted, -slope * (inside - rate) / n_given


SLOPE_BINS = 4


def fpr_at_tpr(rate: float) -> Statistic:
    """False-positive rate where a share ``rate`` of the positives is found."""

    def fpr(positives: Floats, negatives: Floats) -> tuple[Floats, Floats, Floats]:
        value, by_negatives, by_positives = _rate_at_rate(negatives, positives, rate)
        return value, by_positives, by_negatives

    return fpr


def sensitivity_at_fpr(rate: float) -> Statistic:
    """Sensitivity where a share ``rate`` of the negatives is called positive."""

    def sensitivity(positives: Floats, negatives: Floats) -> tuple[Floats, Floats, Floats]:
        return _rate_at_rate(positives, negatives, rate)

    return sensitivity
