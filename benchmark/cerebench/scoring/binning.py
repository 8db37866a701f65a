"""Reducing many sketches to histograms over few common bins, fine where the pooled curves move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cerebench.scoring.codes import lower_edges
from cerebench.scoring.sketch import ScoreSketch

Floats = npt.NDArray[np.float64]

BINS_PER_CURVE = 256
RAREST_SHARE = 1e-6
"""The highest-scored share of the negatives that still gets a bin of its own."""


def choose_starts(
    pooled: ScoreSketch, thresholds: Sequence[float], bins: int = BINS_PER_CURVE
) -> npt.NDArray[np.uint32]:
    """First code of each bin, ascending: quantiles of the positives, log-spaced upper quantiles of the negatives.

    Every finite threshold is the edge of a bin, so that metrics at it stay exact.
    """
    codes, negatives, positives = pooled.counts
    if not codes.size:
        return np.zeros(1, np.uint32)
    even = np.arange(1, bins) / bins
    rare = np.concatenate([np.geomspace(RAREST_SHARE, 0.5, bins // 2), np.linspace(0.5, 1, bins // 4)])
    cuts = []
    for counts, shares in ((positives, even), (negatives, rare)):
        if counts.sum():
            from_top = np.cumsum(counts[::-1]) / counts.sum()
            cuts.append(codes.size - 1 - np.minimum(np.searchsorted(from_top, shares), codes.size - 1))
    edges = lower_edges(codes)
    at = np.searchsorted(edges, [threshold for threshold in thresholds if np.isfinite(threshold)])
    starts = np.unique(np.concatenate([*cuts, at[at < codes.size], [0]]).astype(np.int64))
    return np.asarray(codes[starts])


def bins_above(starts: npt.NDArray[np.uint32], pooled: ScoreSketch, threshold: float) -> int:
    """Number of bins, from the highest scores down, that lie at or above a threshold given to :func:`choose_starts`."""
    codes = pooled.counts.codes
    first = int(np.searchsorted(lower_edges(codes), threshold))
    if first >= codes.size:
        return 0
    return int((starts >= codes[first]).sum())


def reduce_sketches(
    sketches: Sequence[ScoreSketch], groups: npt.NDArray[np.int64], n_groups: int, starts: npt.NDArray[np.uint32]
) -> tuple[Floats, Floats]:
    """Positives and negatives per group and bin, ``[n_groups, K]`` float64 each, bins from the highest scores down."""
    positives = np.zeros((n_groups, starts.size))
    negatives = np.zeros((n_groups, starts.size))
    for sketch, group in zip(sketches, groups, strict=True):
        codes, negative, positive = sketch.counts
        ends = np.append(np.searchsorted(codes, starts), codes.size)
        for counts, table in ((positive, positives), (negative, negatives)):
            running = np.concatenate([[0], np.cumsum(counts)])
            table[group] += np.diff(running[ends])[::-1]
    return positives, negatives
