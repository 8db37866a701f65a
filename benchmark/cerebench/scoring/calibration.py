"""Calibration of probabilities: how often what was given probability p came true."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BINS = 5


class CalibrationBin(NamedTuple):
    """Items of neighbouring probabilities.

    Attributes:
        predicted: their mean probability.
        observed: share of positives among them.
        low, high: Wilson limits of ``observed``, items taken as independent.
        lesions: how many.
    """

    predicted: float
    observed: float
    low: float
    high: float
    lesions: int


def calibration_curve(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, bins: int = BINS, level: float = 0.95
) -> list[CalibrationBin]:
    """The curve over bins of about equal count, from low to high probabilities; empty bins are left out.

    Edges are the quantiles of scikit-learn's ``calibration_curve(strategy="quantile")``.

    Args:
        probabilities: ``[n]`` in [0, 1].
        labels: ``[n]`` bool or 0/1.

    Raises:
        ValueError: shapes differ or probabilities leave [0, 1].
    """
    from scipy.stats import norm

    values, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels).astype(bool)
    if values.ndim != 1 or values.shape != truth.shape:
        raise ValueError(f"probabilities {values.shape} and labels {truth.shape}: expected one of each an item")
    if not values.size:
        return []
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"probabilities span [{values.min():g}, {values.max():g}]: expected [0, 1]")
    edges = np.quantile(values, np.linspace(0, 1, bins + 1))
    place = np.searchsorted(edges[1:-1], values)
    z = float(norm.ppf((1 + level) / 2))
    found = []
    for index in range(bins):
        inside = place == index
        count = int(inside.sum())
        if count:
            share = float(truth[inside].mean())
            low, high = _wilson(share, count, z)
            found.append(CalibrationBin(float(values[inside].mean()), share, low, high, count))
    return found


def _wilson(share: float, count: int, z: float) -> tuple[float, float]:
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, centre - reach), min(1.0, centre + reach)
