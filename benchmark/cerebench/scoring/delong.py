"""Areas under ROC curves with DeLong's covariance, its cluster form for several lesions a patient, and a paired test.

DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988); clusters: Obuchowski, Biometrics 53:567 (1997), which is
the same where every patient has one item. Placements by mid-ranks: Sun and Xu, IEEE Signal Processing Letters 21:1389
(2014). Several trainings (seeds) of one method are averaged: their mean area has the mean of their placements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Areas(NamedTuple):
    """Areas ``[k]`` of k methods on the same items, and their covariance ``[k, k]``; nan where a class is absent."""

    values: Floats
    covariance: Floats


class PairedTest(NamedTuple):
    """Difference of two areas with its limits and the two-sided p-value; nan where undefined."""

    difference: float
    low: float
    high: float
    p: float


def placements(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Share of negatives below each positive, and of positives above each negative; ties half.

    Args:
        scores: ``[n]``, or ``[seeds, n]``, whose placements are averaged.
        labels: ``[n]`` bool or 0/1.

    Raises:
        ValueError: shapes differ, a class is absent, or scores are not finite.
    """
    from scipy.stats import rankdata

    values = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    truth = np.asarray(labels).astype(bool)
    if values.shape[1:] != truth.shape:
        raise ValueError(f"scores {values.shape} and labels {truth.shape}: expected one of each an item")
    if not np.isfinite(values).all():
        raise ValueError("scores hold NaN or infinite values: expected finite numbers")
    m, n = int(truth.sum()), int((~truth).sum())
    if not m or not n:
        raise ValueError(f"{m} positives and {n} negatives: placements need both")
    ranks = rankdata(values, axis=1)
    below = (ranks[:, truth] - rankdata(values[:, truth], axis=1)) / n
    above = 1 - (ranks[:, ~truth] - rankdata(values[:, ~truth], axis=1)) / m
    return below.mean(axis=0), above.mean(axis=0)


def areas(scores: Sequence[npt.ArrayLike], labels: npt.ArrayLike, patients: Sequence[str]) -> Areas:
    """Areas of several methods on the same items.

    Args:
        scores: one entry a method, ``[n]`` or ``[seeds, n]``.
        labels: ``[n]`` bool or 0/1.
        patients: ``[n]``; items of one patient may depend on each other.

    Raises:
        ValueError: as :func:`placements`.
    """
    truth = np.asarray(labels).astype(bool)
    pairs = [placements(one, truth) for one in scores]
    below, above = (np.stack([pair[side] for pair in pairs]) for side in (0, 1))
    values = below.mean(axis=1)
    _, group = np.unique(np.asarray(patients), return_inverse=True)
    count = int(group.max()) + 1
    # sums of centred placements by patient
    first, second = np.zeros((2, len(values), count))
    np.add.at(first.T, group[truth], (below - values[:, None]).T)
    np.add.at(second.T, group[~truth], (above - values[:, None]).T)
    m, n = below.shape[1], above.shape[1]
    with_first, with_second = np.unique(group[truth]).size, np.unique(group[~truth]).size
    if min(with_first, with_second) < 2:
        return Areas(values, np.full((len(values),) * 2, math.nan))
    covariance = (
        first @ first.T * with_first / (with_first - 1) / m**2
        + second @ second.T * with_second / (with_second - 1) / n**2
        + (first @ second.T + second @ first.T) * count / (count - 1) / (m * n)
    )
    return Areas(values, covariance)


def interval(value: float, variance: float, level: float = 0.95) -> tuple[float, float] | None:
    """Limits on the logit scale, so that they stay within (0, 1); ``None`` where the variance or area has no room."""
    from scipy.stats import norm

    if not 0 < value < 1 or not variance > 0:
        return None
    reach = float(norm.ppf((1 + level) / 2)) * math.sqrt(variance) / (value * (1 - value))
    centre = math.log(value / (1 - value))
    low, high = (1 / (1 + math.exp(-(centre + step))) for step in (-reach, reach))
    return low, high


def paired_test(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    labels: npt.ArrayLike,
    patients: Sequence[str],
    level: float = 0.95,
) -> PairedTest:
    """DeLong's test that two methods have one area, on the same items.

    Without any spread between the two, p is 1 where the areas agree and nan where they do not.

    Raises:
        ValueError: as :func:`placements`.
    """
    from scipy.stats import norm

    values, covariance = areas([first, second], labels, patients)
    difference = float(values[0] - values[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if math.isnan(variance):
        return PairedTest(difference, math.nan, math.nan, math.nan)
    # what is left of equal scores is rounding
    if variance < 1e-15:
        same = abs(difference) < 1e-12
        return PairedTest(difference, difference, difference, 1.0 if same else math.nan)
    error = math.sqrt(variance)
    reach = float(norm.ppf((1 + level) / 2)) * error
    p = 2 * float(norm.sf(abs(difference) / error))
    return PairedTest(difference, max(difference - reach, -1.0), min(difference + reach, 1.0), p)
