"""Metrics of one ranked set of voxels, from the counts of its tied groups. Arrays run from the highest score down."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Interval = tuple[float, float]


def average_precision(negatives: Counts, positives: Counts) -> float:
    """Step-wise AP (Σ ΔRecall × Precision at the end of each tied group); nan without positives."""
    total = int(positives.sum())
    if not total:
        return math.nan
    with_positives = positives > 0
    true = np.cumsum(positives, dtype=np.float64)[with_positives]
    false = np.cumsum(negatives, dtype=np.float64)[with_positives]
    return float((positives[with_positives] * (true / (true + false))).sum() / total)


def auroc(negatives: Counts, positives: Counts, tie_credit: float = 0.5) -> float:
    """Probability that a positive outranks a negative, a tie counting ``tie_credit``; nan if a class is empty."""
    total_positive, total_negative = int(positives.sum()), int(negatives.sum())
    if not total_positive or not total_negative:
        return math.nan
    outranked = total_negative - np.cumsum(negatives, dtype=np.float64)
    return float((positives * ((outranked + tie_credit * negatives) / total_negative)).sum() / total_positive)


def dice_curve(negatives: Counts, positives: Counts) -> npt.NDArray[np.float64]:
    """Dice when the threshold lies at the lower edge of each group."""
    true = np.cumsum(positives, dtype=np.float64)
    predicted = true + np.cumsum(negatives, dtype=np.float64)
    curve: npt.NDArray[np.float64] = 2 * true / (predicted + float(positives.sum()))
    return curve


def average_precision_bounds(negatives: Counts, positives: Counts) -> Interval:
    """Lowest and highest AP over all (weak) orders of the members of each group.

    Lowest: negatives first, then the positives one by one. Highest: the positives together, then the negatives.
    """
    total = int(positives.sum())
    if not total:
        return math.nan, math.nan
    p = positives.astype(np.float64)
    q = negatives.astype(np.float64)
    true, false = np.cumsum(p), np.cumsum(q)
    highest = float((p * true / np.maximum(true + false - q, 1)).sum() / total)
    # Σ_{j≤p} (T + j) / (T + j + F) = p - F · Σ_{j≤p} 1 / (T + F + j)
    lowest = float((p - false * _harmonic(true - p + false, p)).sum() / total)
    return max(lowest, 0.0), min(highest, 1.0)


def _harmonic(start: npt.NDArray[np.float64], length: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Σ_{j=1..length} 1 / (start + j), without cancellation for large starts."""
    from scipy.special import digamma

    a, b = start + 1, start + length + 1
    with np.errstate(all="ignore"):
        series = np.log1p(length / a) + (1 / a - 1 / b) / 2 + (1 / a**2 - 1 / b**2) / 12
    return np.where(a > 1e4, series, digamma(b) - digamma(a))


def best_dice_bounds(negatives: Counts, positives: Counts) -> Interval:
    """Lowest and highest best Dice over all orders of the members of each group."""
    total = float(positives.sum())
    if not total:
        return math.nan, math.nan
    true = np.cumsum(positives, dtype=np.float64)
    false = np.cumsum(negatives, dtype=np.float64)
    split = 2 * true / (true + false - negatives + total)
    return float(dice_curve(negatives, positives).max()), float(split.max())
