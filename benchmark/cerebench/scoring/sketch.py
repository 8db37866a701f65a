"""A mergeable histogram of scores by label: one pass over the maps, every voxel metric from the counts.

A voxel is predicted positive when its score is at least the threshold, everywhere. A stored score is the lower edge of
its 22-bit code (:mod:`cerebench.scoring.codes`), so metrics of float16 and bfloat16 maps are exact and thresholds
returned here, being lower edges, split the original float32 map exactly as they split the sketch.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cerebench.scoring import curve
from cerebench.scoring.codes import N_CODES, lower_edges
from cerebench.scoring.counting import CodeCounts, add_counts, count, empty_counts

WIDE_BOUNDS = 1e-3


class SketchResolutionWarning(UserWarning):
    """So many voxels share a score code that their true order could change a metric by more than 1e-3."""


class Confusion(NamedTuple):
    """Voxel counts at a threshold."""

    tp: int
    fp: int
    fn: int
    tn: int


class ScoreSketch:
    """Counts of voxels per (score code, label). Add sketches to pool cases; metrics are undefined (nan) without voxels
    of a class they need.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = empty_counts()

    def update(self, scores: Any, labels: Any, ignore: Any = None) -> ScoreSketch:
        """Count a map's voxels. A CUDA tensor is counted on its device. On an error the sketch stays as it was.

        Args:
            scores: NumPy array or tensor of any shape and real dtype; float64 is rounded to float32.
            labels: same shape, bool or 0/1.
            ignore: same shape, bool; True leaves a voxel out, whatever its score and label.

        Returns:
            the sketch itself.

        Raises:
            ValueError: shapes differ, a score is not finite, or a label is neither 0 nor 1.
        """
        self._counts = add_counts([self._counts, count(scores, labels, ignore)])
        return self

    def __add__(self, other: ScoreSketch) -> ScoreSketch:
        if not isinstance(other, ScoreSketch):
            return NotImplemented
        return ScoreSketch.merge([self, other])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScoreSketch):
            return NotImplemented
        mine, theirs = self.to_arrays(), other.to_arrays()
        return all(np.array_equal(mine[name], theirs[name]) for name in mine)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ScoreSketch({self.n_positive} positive, {self.n_negative} negative, {self._counts.codes.size} codes)"

    @classmethod
    def merge(cls, sketches: Iterable[ScoreSketch]) -> ScoreSketch:
        """The sketch of all voxels of several sketches."""
        merged = cls()
        merged._counts = add_counts([sketch._counts for sketch in sketches])
        return merged

    @property
    def counts(self) -> CodeCounts:
        """Occupied codes, ascending, with their negatives and positives. Not to be changed."""
        return self._counts

    @property
    def n_positive(self) -> int:
        """Number of voxels with label 1."""
        return int(self._counts.positives.sum())

    @property
    def n_negative(self) -> int:
        """Number of voxels with label 0."""
        return int(self._counts.negatives.sum())

    def _descending(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        return self._counts.negatives[::-1], self._counts.positives[::-1]

    def _edge(self, rank: int) -> float:
        """Lower edge of the code at a position of the descending order."""
        codes = self._counts.codes
        return float(lower_edges(codes[codes.size - 1 - rank : codes.size - rank])[0])

    def average_precision(self) -> float:
        """Step-wise average precision, equal to scikit-learn's on the stored scores; nan without positives."""
        return curve.average_precision(*self._descending())

    def auroc(self) -> float:
        """Area under the ROC curve, ties counted half; nan without positives or without negatives."""
        return curve.auroc(*self._descending())

    def best_dice(self) -> tuple[float, float]:
        """Highest Dice over all thresholds, and the highest threshold that reaches it; (nan, nan) without positives."""
        if not self.n_positive:
            return math.nan, math.nan
        dice = curve.dice_curve(*self._descending())
        rank = int(dice.argmax())
        return float(dice[rank]), self._edge(rank)

    def counts_at(self, threshold: float) -> Confusion:
        """Confusion counts of ``score >= threshold``.

        Raises:
            ValueError: the threshold is nan.
        """
        if math.isnan(threshold):
            raise ValueError("threshold is nan: expected a number (an undefined threshold cannot be transferred)")
        first = int(np.searchsorted(lower_edges(self._counts.codes), threshold, side="left"))
        tp = int(self._counts.positives[first:].sum())
        fp = int(self._counts.negatives[first:].sum())
        return Confusion(tp, fp, self.n_positive - tp, self.n_negative - fp)

    def dice_at(self, threshold: float) -> float:
        """Dice of ``score >= threshold``; nan without positives."""
        tp, fp, fn, _ = self.counts_at(threshold)
        return 2 * tp / (2 * tp + fp + fn) if tp + fn else math.nan

    def sensitivity_at(self, threshold: float) -> float:
        """Share of the positives with ``score >= threshold``; nan without positives."""
        tp, _, fn, _ = self.counts_at(threshold)
        return tp / (tp + fn) if tp + fn else math.nan

    def fpr_at(self, threshold: float) -> float:
        """Share of the negatives with ``score >= threshold``; nan without negatives."""
        _, fp, _, tn = self.counts_at(threshold)
        return fp / (fp + tn) if fp + tn else math.nan

    def specificity_at(self, threshold: float) -> float:
        """Share of the negatives with ``score < threshold``; nan without negatives."""
        _, fp, _, tn = self.counts_at(threshold)
        return tn / (fp + tn) if fp + tn else math.nan

    def threshold_at_fpr(self, fpr: float) -> float:
        """Lowest stored score at which the false-positive rate is at most ``fpr``.

        ``inf`` where even the highest score exceeds it; nan without negatives. ``fpr_at`` of the result keeps the
        promise exactly.

        Raises:
            ValueError: the rate is outside [0, 1].
        """
        _check_rate("fpr", fpr)
        if not self.n_negative:
            return math.nan
        rates = np.cumsum(self._counts.negatives[::-1]) / self.n_negative
        allowed = int(np.searchsorted(rates, fpr, side="right"))
        return self._edge(allowed - 1) if allowed else math.inf

    def sensitivity_at_fpr(self, fpr: float) -> float:
        """Sensitivity at :meth:`threshold_at_fpr` (no interpolation between thresholds); nan if a class is empty."""
        if not self.n_positive or not self.n_negative:
            _check_rate("fpr", fpr)
            return math.nan
        return self.sensitivity_at(self.threshold_at_fpr(fpr))

    def fpr_at_tpr(self, tpr: float) -> float:
        """Lowest false-positive rate of the thresholds whose sensitivity is at least ``tpr``; nan if a class is empty.

        Raises:
            ValueError: the rate is outside [0, 1].
        """
        _check_rate("tpr", tpr)
        if not self.n_positive or not self.n_negative:
            return math.nan
        if tpr == 0:
            return 0.0
        rates = np.cumsum(self._counts.positives[::-1]) / self.n_positive
        rank = int(np.searchsorted(rates, tpr, side="left"))
        return float(self._counts.negatives[::-1][: rank + 1].sum() / self.n_negative)

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest ``ap``, ``auroc`` and ``best_dice`` that any order of the scores within codes allows.

        Orders include ties, so that the metric of the original float32 map lies inside. Warns with
        :class:`SketchResolutionWarning` where an interval is wider than 1e-3.
        """
        counts = self._descending()
        found = {
            "ap": curve.average_precision_bounds(*counts),
            "auroc": (curve.auroc(*counts, tie_credit=0.0), curve.auroc(*counts, tie_credit=1.0)),
            "best_dice": curve.best_dice_bounds(*counts),
        }
        wide = [f"{name} in [{low:.4f}, {high:.4f}]" for name, (low, high) in found.items() if high - low > WIDE_BOUNDS]
        if wide:
            warnings.warn(
                f"voxels share score codes so that only {', '.join(wide)} is certain: spread the scores over a wider "
                "range (a constant offset eats resolution)",
                SketchResolutionWarning,
                stacklevel=2,
            )
        return found

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """``codes`` uint32 ascending, ``negatives`` and ``positives`` int64, for storage."""
        return {name: array.copy() for name, array in self._counts._asdict().items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> ScoreSketch:
        """Inverse of :meth:`to_arrays`.

        Raises:
            ValueError: arrays are missing, of different lengths, not ascending, out of range or negative.
        """
        try:
            counts = [np.asarray(arrays[name]) for name in CodeCounts._fields]
        except KeyError as error:
            raise ValueError(f"a stored sketch lacks the array {error}: expected {CodeCounts._fields}") from None
        codes, negatives, positives = counts
        ok = (
            all(array.ndim == 1 and array.dtype.kind in "iu" and array.size == codes.size for array in counts)
            and not (np.diff(codes.astype(np.int64)) <= 0).any()
            and (not codes.size or (int(codes[0]) >= 0 and int(codes[-1]) < N_CODES))
            and not (negatives.astype(np.int64) < 0).any()
            and not (positives.astype(np.int64) < 0).any()
        )
        if not ok:
            raise ValueError("a stored sketch is damaged: codes must ascend below 2^22 with non-negative counts each")
        sketch = cls()
        sketch._counts = CodeCounts(codes.astype(np.uint32), negatives.astype(np.int64), positives.astype(np.int64))
        return sketch


def _check_rate(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}: expected a rate in [0, 1]")
