"""The difference between two sides of a contrast, with an interval from resampled patients.

Whoever was tested on both sides is drawn once for both (paired); patients of one side alone are drawn for that side.
Patients are drawn within strata (which cells they are in, which classes their items have), so that cohorts keep their
size and no replicate loses a class. The interval is the house's smoothed bootstrap-t
(:mod:`cerebench.scoring.intervals`) of ``(1 + difference) / 2``, whose logit is twice the inverse hyperbolic tangent of
the difference: limits stay within [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cerebench.claims.tables import Table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cerebench.scoring.pooled import Statistic

RESAMPLES = 1000
LEVEL = 0.95
FEWEST = 5
"""Fewer patients on a side give no interval: what varies between them cannot be seen."""


@dataclass(frozen=True)
class Weighted:
    """A cell's table with its share in the mean of its side."""

    weight: float
    table: Table


@dataclass(frozen=True)
class Effect:
    """A difference of two metrics.

    Attributes:
        value: higher side minus lower side, at full resolution.
        low, high: its limits; ``None`` without an interval.
        sides: metric of the higher and of the lower side.
        n_patients: on the higher and on the lower side.
        shared: patients on both.
        method: ``paired bootstrap-t``, ``independent bootstrap-t``, ``partly paired bootstrap-t``; with ``, widened``
            where a side sits at 0 or 1; ``none``.
        flagged: a side has fewer than 100 patients.
    """

    value: float
    low: float | None
    high: float | None
    sides: tuple[float, float]
    n_patients: tuple[int, int]
    shared: int
    method: str
    flagged: bool


def difference(
    higher: Sequence[Weighted],
    lower: Sequence[Weighted],
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Effect:
    """Weighted mean of the higher side's metrics minus that of the lower side's.

    Where a metric is 0 or 1 and no patient contradicts it, resampling sees no variation on that side. The limits then
    reach at least as far as those of the two stored intervals combined as independent (square-and-add, Zou and Donner
    2008), which carry the binomial limit.

    Args:
        higher, lower: cells with weights that add up to 1 on each side.
        resamples, seed, level: of the bootstrap.
    """
    from cerebench.scoring.intervals import FEW_PATIENTS, bootstrap_histograms

    parts = [(item.weight / 2, item.table) for item in higher] + [(-item.weight / 2, item.table) for item in lower]
    first, second = (sorted({name for item in side for name in item.table.patients}) for side in (higher, lower))
    values = tuple(math.fsum(item.weight * item.table.value for item in side) for side in (higher, lower))
    shared = len(set(first) & set(second))
    counts = (len(first), len(second))
    flagged = min(counts) < FEW_PATIENTS
    about: dict[str, Any] = {
        "value": values[0] - values[1],
        "sides": values,
        "n_patients": counts,
        "shared": shared,
        "flagged": flagged,
    }
    if min(counts) < FEWEST:
        return Effect(low=None, high=None, method="none", **about)
    positives, negatives, strata = _joined([table for _, table in parts], sorted({*first, *second}))
    combined = {"difference": _difference(parts)}
    found = bootstrap_histograms(
        *(positives, negatives, combined, {"difference": (1 + about["value"]) / 2}),
        *(resamples, seed, level, strata),
    )["difference"]
    limits = None
    if found.method == "bootstrap-t" and found.low is not None and found.high is not None:
        limits = 2 * found.low - 1, 2 * found.high - 1
    words = "paired" if shared == max(counts) else "partly paired" if shared else "independent"
    if limits is None or any(table.certain for _, table in parts):
        wide = _square_and_add(higher, lower)
        if wide is None:
            return Effect(low=None, high=None, method="none", **about)
        limits = wide if limits is None else (min(limits[0], wide[0]), max(limits[1], wide[1]))
        words += " bootstrap-t, widened"
    else:
        words += " bootstrap-t"
    return Effect(low=limits[0], high=limits[1], method=words, **about)


Floats = "npt.NDArray[np.float64]"


def _joined(tables: Sequence[Table], patients: Sequence[str]) -> tuple[Any, Any, npt.NDArray[np.int64]]:
    """Counts of all tables side by side, ``[n_patients, sum of K]``, and the stratum of each patient."""
    import numpy as np

    place = {name: index for index, name in enumerate(patients)}
    widths = [table.positives.shape[1] for table in tables]
    positives, negatives = np.zeros((2, len(patients), sum(widths)))
    kinds = np.zeros((len(patients), len(tables)), np.int64)
    begin = 0
    for column, (table, width) in enumerate(zip(tables, widths, strict=True)):
        rows = [place[name] for name in table.patients]
        positives[rows, begin : begin + width] = table.positives
        negatives[rows, begin : begin + width] = table.negatives
        kinds[rows, column] = table.strata
        begin += width
    return positives, negatives, np.unique(kinds, axis=0, return_inverse=True)[1].reshape(-1)


def _difference(parts: Sequence[tuple[float, Table]]) -> Statistic:
    """(1 + difference) / 2 of counts that lie side by side, with its derivatives."""

    def statistic(positives: Any, negatives: Any) -> Any:
        import numpy as np

        total: Any = 0.5
        slopes: tuple[list[Any], list[Any]] = ([], [])
        begin = 0
        for weight, table in parts:
            end = begin + table.positives.shape[1]
            value, by_positives, by_negatives = table.statistic(positives[..., begin:end], negatives[..., begin:end])
            total = total + weight * value
            slopes[0].append(weight * by_positives)
            slopes[1].append(weight * by_negatives)
            begin = end
        return total, np.concatenate(slopes[0], axis=-1), np.concatenate(slopes[1], axis=-1)

    return statistic


def _square_and_add(higher: Sequence[Weighted], lower: Sequence[Weighted]) -> tuple[float, float] | None:
    """Limits from the two sides' own ones; a side's limits are the mean over its cells, as in printed tables."""
    arms = []
    for side in (higher, lower):
        if any(item.table.low is None or item.table.high is None for item in side):
            return None
        value = math.fsum(item.weight * item.table.value for item in side)
        low = math.fsum(item.weight * float(item.table.low or 0) for item in side)
        high = math.fsum(item.weight * float(item.table.high or 0) for item in side)
        arms.append((value, value - low, high - value))
    (first, first_down, first_up), (second, second_down, second_up) = arms
    gap = first - second
    low, high = gap - math.hypot(first_down, second_up), gap + math.hypot(first_up, second_down)
    return max(low, -1.0), min(high, 1.0)
