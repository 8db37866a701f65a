"""The threshold that serves several groups of scans alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cerebench.scoring.codes import lower_edges
from cerebench.scoring.sketch import ScoreSketch


def best_mean_dice(groups: Sequence[ScoreSketch]) -> tuple[float, float]:
    """Highest mean over groups of the group's pooled Dice, and the highest threshold that reaches it.

    Every group weighs the same, whatever its voxels; candidates are the scores of all groups. Groups without positives
    do not count; (nan, nan) where none has any.
    """
    known = [group for group in groups if group.n_positive]
    if not known:
        return math.nan, math.nan
    codes = np.unique(np.concatenate([group.counts.codes for group in known]))
    total = np.zeros(codes.size)
    for group in known:
        counts = group.counts
        # voxels at or above each candidate
        first = np.searchsorted(counts.codes, codes, side="left")
        true, false = (
            np.concatenate([np.cumsum(part[::-1])[::-1], [0]])[first] for part in (counts.positives, counts.negatives)
        )
        total += 2 * true / (true + false + group.n_positive)
    best = int(codes.size - 1 - total[::-1].argmax())
    return float(total[best] / len(known)), float(lower_edges(codes[best : best + 1])[0])
