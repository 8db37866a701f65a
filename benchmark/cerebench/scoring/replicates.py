"""Drawing bootstrap replicates of patients, and the standard errors that studentise them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cerebench.scoring.pooled import Statistic

Floats = npt.NDArray[np.float64]
Groups = npt.NDArray[np.int64]

PATIENTS_AT_ONCE = 512


class Draws(NamedTuple):
    """Replicates ``[B, n_patients]``: how often each patient was drawn, and its load factors summed over the draws.

    Attributes:
        visits: number of draws.
        loads: sum of the load factors (mean 1).
        squares: sum of their squares.
        groups: ``[n_patients]`` stratum of each patient.
    """

    visits: Floats
    loads: Floats
    squares: Floats
    groups: Groups


def load_spread(loads: Floats) -> float:
    """Spread of the log loads above their median (patients without a lesion left out); 0 for fewer than two patients.

    The upper half alone, because it is the upper tail that the smoothing has to continue.
    """
    logs = np.log(loads[loads > 0])
    if logs.size < 2:
        return 0.0
    middle = np.median(logs)
    return float(np.sqrt(np.mean((logs[logs >= middle] - middle) ** 2)))


def draw_replicates(rng: np.random.Generator, n_replicates: int, groups: Groups, noise: float) -> Draws:
    """Draw patients with replacement within their strata.

    Args:
        noise: standard deviation of the log of the load factors.
    """
    n = groups.size
    shape = (n_replicates, n)
    drawn = np.empty(shape, np.int64)
    for group in range(int(groups.max()) + 1):
        members = np.flatnonzero(groups == group)
        drawn[:, members] = members[rng.integers(0, members.size, (n_replicates, members.size))]
    index = (drawn + n * np.arange(n_replicates)[:, None]).ravel()
    factors = np.exp(noise * rng.standard_normal(index.size) - noise**2 / 2)
    visits, loads, squares = (
        np.bincount(index, weights, minlength=n_replicates * n).reshape(shape).astype(np.float64)
        for weights in (None, factors, factors**2)
    )
    return Draws(visits, loads, squares, groups)


def patient_error(from_positives: Floats, from_negatives: Floats, draws: Draws) -> Floats:
    """Standard error of each replicate ``[B]`` from patients' influences ``[B, n]`` by lesion and normal tissue."""
    variance = np.zeros(len(from_positives))
    for group in range(int(draws.groups.max()) + 1):
        members = draws.groups == group
        size = int(members.sum())
        lesion, normal = from_positives[:, members], from_negatives[:, members]
        visits, loads, squares = (part[:, members] for part in draws[:3])
        total = (loads * lesion + visits * normal).sum(axis=1)
        square = (squares * lesion**2 + 2 * loads * lesion * normal + visits * normal**2).sum(axis=1)
        # a stratum of one has no mean of its own to deviate from
        variance += (square - total**2 / size) * size / (size - 1) if size > 1 else square
    return np.sqrt(np.maximum(variance, 0))


def jackknife_error(statistic: Statistic, positives: Floats, negatives: Floats, groups: Groups) -> float:
    """Delete-one-patient standard error; by influence where a patient cannot be left out (the last of its class)."""
    whole = positives.sum(axis=0), negatives.sum(axis=0)
    left_out = np.concatenate(
        [
            statistic(
                whole[0] - positives[at : at + PATIENTS_AT_ONCE], whole[1] - negatives[at : at + PATIENTS_AT_ONCE]
            )[0]
            for at in range(0, len(positives), PATIENTS_AT_ONCE)
        ]
    )
    sizes = np.bincount(groups)
    if np.isnan(left_out).any() or (sizes == 1).any():
        _, by_positives, by_negatives = statistic(*whole)
        once = np.ones((1, groups.size))
        error = patient_error(
            (positives @ by_positives)[None], (negatives @ by_negatives)[None], Draws(once, once, once, groups)
        )
        return float(error[0])
    means = np.bincount(groups, left_out) / sizes
    deviations = (left_out - means[groups]) ** 2 * ((sizes - 1) / sizes)[groups]
    return float(np.sqrt(deviations.sum()))
