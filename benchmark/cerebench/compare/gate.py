"""Which values can make a regression, in which direction, beyond which tolerance: all from metadata."""

from __future__ import annotations

from collections.abc import Collection

from cerebench.compare.snapshot import CellFacts
from cerebench.scoring.metrics import METRICS

FINEST = ("voxel", "lesion", "slice", "subject")
"""Levels where a protocol names none for its headline, the finest first."""
SCORE = "score"
"""A score of a case has no direction: a difference is a change, never worse."""


def direction(metric: str) -> int:
    """1 where higher is better, -1 where lower is, 0 where a value has no direction."""
    known = METRICS.get(metric)
    return 0 if known is None or metric == "prevalence" else 1 if known.higher_is_better else -1


def tolerance(metric: str) -> float:
    """Differences up to this are never worse."""
    known = METRICS.get(metric)
    return known.tolerance if known else 0.0


def gated(cell: CellFacts, present: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """The (level, metric) pairs that decide about a cell: its protocol's headline metrics, the Dice at the transferred
    threshold (no oracle sees a moved threshold), and the false-positive rate of healthy columns.

    Args:
        cell: the cell.
        present: pairs of which the cell has values.
    """
    if cell.healthy:
        return {("voxel", "fpr")} & set(present)
    levels = [cell.headline_level] if cell.headline_level else FINEST
    for level in levels:
        wanted = {(level, metric) for metric in (*cell.headline, *["dice"] * (level == "voxel"))} & set(present)
        if wanted:
            return wanted
    return set()
