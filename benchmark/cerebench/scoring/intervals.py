"""Confidence intervals of pooled metrics by resampling patients.

Method: a smoothed bootstrap-t on the logit scale. Pooled voxel metrics are ratios of sums over patients whose lesion
loads are heavy-tailed, for which the percentile and BCa intervals cover far less than they promise (figures in
``docs/metrics.md``). Three measures against it: replicates are studentised by the influence of each patient; the scale
of the interval is the jackknife's; drawn patients have their lesion load multiplied by log-normal noise of mean 1, a
kernel estimate on the log scale, so that loads beyond the largest one observed occur.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cerebench.scoring import binning, pooled
from cerebench.scoring.replicates import Draws, draw_replicates, jackknife_error, load_spread, patient_error
from cerebench.scoring.sketch import ScoreSketch

Floats = npt.NDArray[np.float64]

FEW_PATIENTS = 100
SMOOTHING = 2.4
"""Kernel width in units of (spread of the log loads) × n^(-1/5); chosen by the simulation in the tests."""
WIDEST_KERNEL = 1.1
"""Limit of the kernel width on the log scale: wider ones make intervals cover more than they promise."""
REPLICATES_AT_ONCE = 128

AT_THRESHOLD = {
    "dice": pooled.dice_at,
    "sensitivity": pooled.sensitivity_at,
    "specificity": pooled.specificity_at,
    "fpr": pooled.fpr_at,
    "accuracy": pooled.accuracy_at,
    "balanced_accuracy": pooled.balanced_accuracy_at,
}
AT_RATE = {"sensitivity_at_1fpr": 0.01, "sensitivity_at_5fpr": 0.05, "sensitivity_at_10fpr": 0.10}


@dataclass(frozen=True)
class Interval:
    """A metric with its confidence interval.

    Attributes:
        value: the metric of all patients pooled; nan where undefined.
        low, high: limits, ``None`` with fewer than two patients or where the metric is undefined.
        method: ``bootstrap-t``; ``binomial`` where the value is 0 or 1 and no patient contradicts it, so that nothing
            varies between replicates (Clopper-Pearson over patients); ``none`` without limits.
        flagged: fewer than 100 patients: coverage was measured below the nominal level there.
        n_patients: patients resampled.
    """

    value: float
    low: float | None
    high: float | None
    method: str
    flagged: bool
    n_patients: int


@dataclass(frozen=True)
class PooledMetric:
    """A metric of the pooled voxels.

    Attributes:
        name: ``ap``, ``auroc``, ``best_dice``, ``fpr_at_95tpr``, ``sensitivity_at_{1,5,10}fpr``, ``dice``,
            ``sensitivity``, ``specificity``, ``fpr``, ``accuracy``, ``balanced_accuracy``.
        threshold: needed by the last six; makes ``sensitivity_at_*fpr`` the sensitivity at this transferred threshold
            instead of the one of the pooled voxels themselves.
    """

    name: str
    threshold: float | None = None

    def __post_init__(self) -> None:
        known = ("ap", "auroc", "best_dice", "fpr_at_95tpr", *AT_RATE, *AT_THRESHOLD)
        if self.name not in known:
            raise ValueError(f"no pooled metric {self.name!r}: expected one of {', '.join(known)}")
        if self.name in AT_THRESHOLD and self.threshold is None:
            raise ValueError(f"pooled metric {self.name!r} needs a threshold")
        if self.threshold is not None and math.isnan(self.threshold):
            raise ValueError(f"pooled metric {self.name!r} has the threshold nan: leave it out instead")

    def value(self, sketch: ScoreSketch) -> float:
        """The metric of one sketch, at full resolution."""
        if self.name == "ap":
            return sketch.average_precision()
        if self.name == "auroc":
            return sketch.auroc()
        if self.name == "best_dice":
            return sketch.best_dice()[0]
        if self.name == "fpr_at_95tpr":
            return sketch.fpr_at_tpr(0.95)
        if self.threshold is None:
            return sketch.sensitivity_at_fpr(AT_RATE[self.name])
        if self.name in AT_RATE:
            return sketch.sensitivity_at(self.threshold)
        return _from_confusion(self.name, np.array([sketch.counts_at(self.threshold)], dtype=np.float64))

    def statistic(self, n_bins: int) -> pooled.Statistic:
        """The metric of histograms whose first ``n_bins`` bins lie at or above the threshold."""
        if self.name in AT_THRESHOLD:
            return AT_THRESHOLD[self.name](n_bins)
        if self.name in AT_RATE:
            rate = AT_RATE[self.name]
            return pooled.sensitivity_at_fpr(rate) if self.threshold is None else pooled.sensitivity_at(n_bins)
        plain = {"ap": pooled.average_precision, "auroc": pooled.auroc, "best_dice": pooled.best_dice}
        return plain.get(self.name) or pooled.fpr_at_tpr(0.95)


def _from_confusion(name: str, counts: Floats) -> float:
    """A threshold metric of summed confusion counts ``[n, 4]`` (tp, fp, fn, tn)."""
    tp, fp, fn, tn = counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value, _, _ = AT_THRESHOLD[name](1)(np.array([tp, fn]), np.array([fp, tn]))
    # without a lesion there is nothing that Dice could overlap with
    return math.nan if name == "dice" and not tp + fn else float(value)


def patient_groups(patients: Sequence[str], n_items: int) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Index of each item's patient among the sorted patients, and these.

    Raises:
        ValueError: not one patient an item.
    """
    if len(patients) != n_items:
        raise ValueError(f"{len(patients)} patients for {n_items} items: expected one each")
    names = sorted(set(patients))
    index = {name: position for position, name in enumerate(names)}
    return np.array([index[patient] for patient in patients], dtype=np.int64), names


def bootstrap_sketches(
    sketches: Sequence[ScoreSketch],
    patients: Sequence[str],
    metrics: Sequence[PooledMetric | str],
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Intervals of pooled voxel metrics; all cases of a patient are resampled together.

    Args:
        sketches: one a case.
        patients: the patient of each case.
        metrics: what to compute; a plain name stands for a metric without threshold.
        resamples: bootstrap replicates.
        seed: of the replicates; the same seed gives the same intervals.
        level: nominal coverage, in (0, 1).

    Returns:
        metric name → interval. A metric that appears twice (two thresholds) keeps the last.

    Raises:
        ValueError: lengths differ, a metric is unknown, or a setting is out of range.
    """
    wanted = [PooledMetric(metric) if isinstance(metric, str) else metric for metric in metrics]
    groups, names = patient_groups(patients, len(sketches))
    merged = ScoreSketch.merge(sketches)
    thresholds = [metric.threshold for metric in wanted if metric.threshold is not None]
    starts = binning.choose_starts(merged, thresholds)
    positives, negatives = binning.reduce_sketches(sketches, groups, len(names), starts)
    statistics = {
        metric.name: metric.statistic(
            0 if metric.threshold is None else binning.bins_above(starts, merged, metric.threshold)
        )
        for metric in wanted
    }
    exact = {metric.name: metric.value(merged) for metric in wanted}
    return bootstrap_histograms(positives, negatives, statistics, exact, resamples, seed, level)


def bootstrap_confusions(
    confusions: npt.ArrayLike,
    patients: Sequence[str],
    metrics: Sequence[str] = ("dice", "sensitivity", "fpr"),
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """As :func:`bootstrap_sketches`, from counts at a fixed threshold (after component removal, say).

    Args:
        confusions: ``[n, 4]`` counts (tp, fp, fn, tn), one row a case.
        metrics: of ``dice``, ``sensitivity``, ``specificity``, ``fpr``, ``accuracy``, ``balanced_accuracy``.
    """
    counts = np.asarray(confusions, dtype=np.float64).reshape(-1, 4)
    unknown = [name for name in metrics if name not in AT_THRESHOLD]
    if unknown:
        raise ValueError(f"no metric {unknown[0]!r} at a threshold: expected one of {', '.join(AT_THRESHOLD)}")
    groups, names = patient_groups(patients, len(counts))
    sums = np.zeros((len(names), 4))
    np.add.at(sums, groups, counts)
    statistics = {name: AT_THRESHOLD[name](1) for name in metrics}
    exact = {name: _from_confusion(name, counts) for name in metrics}
    return bootstrap_histograms(sums[:, [0, 2]], sums[:, [1, 3]], statistics, exact, resamples, seed, level)


def bootstrap_histograms(
    positives: Floats,
    negatives: Floats,
    statistics: Mapping[str, pooled.Statistic],
    exact: Mapping[str, float],
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    strata: npt.NDArray[Any] | None = None,
) -> dict[str, Interval]:
    """Intervals of statistics of histograms summed over patients.

    Args:
        positives, negatives: ``[n_patients, K]`` counts, bins from the highest scores down.
        statistics: by name, from :mod:`cerebench.scoring.pooled`.
        exact: value of each at full resolution; the interval is placed around it.
        strata: ``[n_patients]``; patients are drawn within their stratum. ``None``: all from one.

    Raises:
        ValueError: ``resamples`` below 20 or ``level`` outside (0, 1).
    """
    if resamples < 20 or not 0 < level < 1:
        raise ValueError(f"resamples {resamples}, level {level}: expected at least 20 and a level in (0, 1)")
    n = len(positives)
    flagged = n < FEW_PATIENTS
    undefined = {name: Interval(exact[name], None, None, "none", flagged, n) for name in statistics}
    if n < 2:
        return undefined
    rng = np.random.default_rng(seed)
    groups = np.zeros(n, np.int64) if strata is None else np.unique(strata, return_inverse=True)[1].reshape(-1)
    noise = min(SMOOTHING * n**-0.2 * load_spread(positives.sum(axis=1)), WIDEST_KERNEL)
    ratios: dict[str, list[Floats]] = {name: [] for name in statistics}
    with np.errstate(all="ignore"):
        centres = {
            name: float(statistic(positives.sum(0), negatives.sum(0))[0]) for name, statistic in statistics.items()
        }
        for begin in range(0, resamples, REPLICATES_AT_ONCE):
            draws = draw_replicates(rng, min(REPLICATES_AT_ONCE, resamples - begin), groups, noise)
            sums = draws.loads @ positives, draws.visits @ negatives
            for name, statistic in statistics.items():
                ratios[name].append(_studentised(statistic, centres[name], sums, positives, negatives, draws))
        found = {}
        for name, statistic in statistics.items():
            value = exact[name]
            if math.isnan(value):
                found[name] = undefined[name]
                continue
            error = jackknife_error(statistic, positives, negatives, groups)
            limits = _limits(value, error, np.concatenate(ratios[name]), level)
            if limits is None:
                found[name] = _certain(value, positives, negatives, level, flagged)
            else:
                found[name] = Interval(value, *limits, "bootstrap-t", flagged, n)
    return found


def _logit(value: Any) -> Any:
    return np.log(value) - np.log1p(-value)


def _studentised(
    statistic: pooled.Statistic,
    centre: float,
    sums: tuple[Floats, Floats],
    positives: Floats,
    negatives: Floats,
    draws: Draws,
) -> Floats:
    """(replicate - centre) / its standard error, on the logit scale, for each replicate."""
    values, by_positives, by_negatives = statistic(*sums)
    error = patient_error(by_positives @ positives.T, by_negatives @ negatives.T, draws)
    ratios: Floats = (_logit(values) - _logit(centre)) * values * (1 - values) / error
    return ratios


def _limits(value: float, error: float, ratios: Floats, level: float) -> tuple[float, float] | None:
    """Limits on the metric's own scale; ``None`` where the value or every replicate sits on the boundary."""
    ratios = ratios[~np.isnan(ratios)]
    if not 0 < value < 1 or not error > 0 or ratios.size < 20:
        return None
    # "higher"/"lower" rather than interpolation: a replicate without spread is infinite
    below = np.quantile(ratios, (1 - level) / 2, method="lower")
    above = np.quantile(ratios, (1 + level) / 2, method="higher")
    scale = error / (value * (1 - value))
    low, high = (1 / (1 + np.exp(-(_logit(value) - step * scale))) for step in (above, below))
    return min(float(low), value), max(float(high), value)


def _certain(value: float, positives: Floats, negatives: Floats, level: float, flagged: bool) -> Interval:
    """Interval of a value that no patient contradicts, from the smaller class's number of patients."""
    n = len(positives)
    if value not in (0.0, 1.0):
        return Interval(value, None, None, "none", flagged, n)
    carriers = [int(c) for c in ((positives.sum(axis=1) > 0).sum(), (negatives.sum(axis=1) > 0).sum()) if c]
    reach = ((1 - level) / 2) ** (1 / min(carriers))
    low, high = (reach, 1.0) if value == 1.0 else (0.0, 1 - reach)
    return Interval(value, low, high, "binomial", flagged, n)
