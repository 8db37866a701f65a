"""Paired permutation test of two areas under ROC curves, for test sets too small for DeLong's normal approximation.

Bandos, Rockette and Gur, Statistics in Medicine 24:2873 (2005): under the null hypothesis the two methods' ranks of an
item may be exchanged. All items of a patient, and all trainings of a method, are exchanged together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

DRAWS = 5000
_AT_ONCE = 256


def permutation_p(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    labels: npt.ArrayLike,
    patients: Sequence[str],
    draws: int = DRAWS,
    seed: int = 0,
) -> float:
    """Two-sided p-value of the difference of two areas; at least 1 / (draws + 1).

    Args:
        first, second: ``[n]`` or ``[seeds, n]`` scores of the same items; the seeds of both count equally.
        labels: ``[n]`` bool or 0/1.
        patients: ``[n]``.
        draws, seed: of the random exchanges.

    Raises:
        ValueError: shapes differ, or a class is absent.
    """
    from scipy.stats import rankdata

    truth = np.asarray(labels).astype(bool)
    ranks = [rankdata(np.atleast_2d(np.asarray(one, dtype=np.float64)), axis=1) for one in (first, second)]
    if any(one.shape[1:] != truth.shape for one in ranks):
        raise ValueError(f"scores {[one.shape for one in ranks]} and labels {truth.shape}: expected one each an item")
    if not 0 < truth.sum() < truth.size:
        raise ValueError(f"{int(truth.sum())} positives of {truth.size}: the test needs both classes")
    # one column a training; a training stays with its partner
    count = max(len(one) for one in ranks)
    one, other = (np.resize(rank, (count, truth.size)) for rank in ranks)
    _, group = np.unique(np.asarray(patients), return_inverse=True)
    rng = np.random.default_rng(seed)

    def gap(swap: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Differences ``[B]`` of the mean areas, for exchanges ``[B, n]``."""
        given = swap[:, None]
        return _areas(np.where(given, other, one), truth) - _areas(np.where(given, one, other), truth)

    observed = abs(float(gap(np.zeros((1, truth.size), bool))[0]))
    beyond = 0
    for begin in range(0, draws, _AT_ONCE):
        swap = rng.random((min(_AT_ONCE, draws - begin), int(group.max()) + 1)) < 0.5
        beyond += int((np.abs(gap(swap[:, group])) >= observed - 1e-12).sum())
    return (beyond + 1) / (draws + 1)


def _areas(scores: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Mean over trainings of the areas of ``[B, seeds, n]`` scores: ``[B]``."""
    from scipy.stats import rankdata

    m, n = int(truth.sum()), int((~truth).sum())
    ranks = rankdata(scores, axis=-1)[..., truth].sum(axis=-1)
    means: npt.NDArray[np.float64] = ((ranks - m * (m + 1) / 2) / (m * n)).mean(axis=-1)
    return means


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of a family of p-values (Scandinavian Journal of Statistics 6:65, 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted
