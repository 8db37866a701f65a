"""Pooled statistics, their derivatives, and the intervals built from them."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap, norm

from cerebench.scoring import ScoreSketch, pooled
from cerebench.scoring.binning import bins_above, choose_starts, reduce_sketches
from cerebench.scoring.intervals import (
    AT_THRESHOLD,
    PooledMetric,
    bootstrap_confusions,
    bootstrap_histograms,
    bootstrap_sketches,
)

PLAIN = ["ap", "auroc", "best_dice", "fpr_at_95tpr", "sensitivity_at_1fpr", "sensitivity_at_5fpr"]


def cohort(n: int, voxels: int = 20_000, seed: int = 0, shift: float = 0.4) -> list[ScoreSketch]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        labels = rng.random(voxels) < min(0.3, 0.02 * rng.lognormal(0, 0.7))
        scores = np.exp(
            rng.standard_normal(voxels) + shift * rng.standard_normal() + (1.5 + 0.5 * rng.random()) * labels
        )
        found.append(ScoreSketch().update(scores, labels))
    return found


def names(n: int) -> list[str]:
    return [f"p{i}" for i in range(n)]


@pytest.mark.parametrize("metric", [*PLAIN, *AT_THRESHOLD])
def test_histograms_give_the_metric_of_the_sketch(metric: str) -> None:
    sketches = cohort(12)
    merged = ScoreSketch.merge(sketches)
    wanted = PooledMetric(metric, merged.best_dice()[1] if metric in AT_THRESHOLD else None)
    starts = choose_starts(merged, [wanted.threshold] if wanted.threshold is not None else [])
    sums = [part.sum(axis=0) for part in reduce_sketches(sketches, np.arange(12), 12, starts)]
    assert sums[0].sum() == merged.n_positive
    assert sums[1].sum() == merged.n_negative
    n_bins = 0 if wanted.threshold is None else bins_above(starts, merged, wanted.threshold)
    value = float(wanted.statistic(n_bins)(*sums)[0])
    tolerance = 1e-12 if metric in AT_THRESHOLD else 1e-3
    assert value == pytest.approx(wanted.value(merged), abs=tolerance)


STATISTICS = {
    "ap": pooled.average_precision,
    "auroc": pooled.auroc,
    "best_dice": pooled.best_dice,
    "fpr_at_tpr": pooled.fpr_at_tpr(0.9),
    "sensitivity_at_fpr": pooled.sensitivity_at_fpr(0.1),
    **{name: make(7) for name, make in AT_THRESHOLD.items()},
}


@pytest.mark.parametrize("name", STATISTICS)
def test_derivatives_are_those_of_finite_differences(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled, "SLOPE_BINS", 0)
    rng = np.random.default_rng(3)
    bins = np.arange(20)
    positives = 100 * np.exp(-(((bins - 5) / 5) ** 2)) * (1 + rng.random(20))
    negatives = 1000 * np.exp(-(((bins - 14) / 5) ** 2)) * (1 + rng.random(20))
    statistic = STATISTICS[name]
    value, by_positives, by_negatives = statistic(positives, negatives)
    step = 1e-4 * np.eye(20)
    for derivative, changed in (
        (by_positives, lambda change: statistic(positives + change, np.tile(negatives, (20, 1)))[0]),
        (by_negatives, lambda change: statistic(np.tile(positives, (20, 1)), negatives + change)[0]),
    ):
        numeric = (changed(step) - changed(-step)) / 2e-4
        assert derivative == pytest.approx(numeric, abs=1e-7 + 1e-4 * np.abs(numeric).max())
    # a metric does not depend on the size of the cohort
    assert positives @ by_positives + negatives @ by_negatives == pytest.approx(0, abs=1e-9)
    assert statistic(3 * positives, 3 * negatives)[0] == pytest.approx(value, abs=1e-12)


def test_light_tails_agree_with_scipys_bootstrap() -> None:
    """Equal loads: no smoothing is at work, and the interval of a ratio is the one SciPy finds on the same ratio."""
    rng = np.random.default_rng(5)
    found = rng.binomial(500, norm.cdf(rng.normal(0.5, 0.5, 150)))
    confusions = np.stack([found, np.zeros(150), 500 - found, np.full(150, 10)], axis=1)
    mine = bootstrap_confusions(confusions, names(150), ["sensitivity"], resamples=4000)["sensitivity"]
    theirs = bootstrap((found / 500,), np.mean, n_resamples=4000, method="BCa", rng=rng).confidence_interval
    assert mine.value == pytest.approx(found.mean() / 500)
    assert mine.method == "bootstrap-t"
    assert not mine.flagged
    width = theirs.high - theirs.low
    assert mine.low == pytest.approx(theirs.low, abs=0.08 * width)
    assert mine.high == pytest.approx(theirs.high, abs=0.08 * width)


@pytest.mark.parametrize("metric", ["ap", "auroc", "best_dice"])
def test_the_spread_is_that_of_direct_resampling(metric: str) -> None:
    """Merging whole sketches of drawn patients, again and again, spreads as the interval says."""
    sketches = cohort(120, voxels=4000, shift=0.1)
    rng = np.random.default_rng(1)
    wanted = PooledMetric(metric)
    direct = [wanted.value(ScoreSketch.merge([sketches[i] for i in rng.integers(0, 120, 120)])) for _ in range(300)]
    interval = bootstrap_sketches(sketches, names(120), [metric])[metric]
    assert not interval.flagged
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < interval.value < interval.high
    spread = np.quantile(direct, 0.975) - np.quantile(direct, 0.025)
    # wider than the percentile interval, which covers too little, but of the same order
    assert 0.95 * spread < interval.high - interval.low < 1.8 * spread


def test_few_bins_hardly_move_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    sketches = cohort(30)
    metrics = ["ap", "auroc", "best_dice"]
    fine = bootstrap_sketches(sketches, names(30), metrics, resamples=300)
    monkeypatch.setattr("cerebench.scoring.binning.choose_starts", lambda pooled, _: pooled.counts.codes)
    finest = bootstrap_sketches(sketches, names(30), metrics, resamples=300)
    for metric in metrics:
        a, b = fine[metric], finest[metric]
        assert a.value == b.value
        assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=0.02 * (b.high - b.low))


def test_cases_of_a_patient_stay_together() -> None:
    sketches = cohort(20)
    twice = bootstrap_sketches([*sketches, *sketches], names(20) * 2, ["ap", "auroc"])
    once = bootstrap_sketches(sketches, names(20), ["ap", "auroc"])
    for metric, interval in once.items():
        assert twice[metric].n_patients == 20
        assert (twice[metric].low, twice[metric].high) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_the_seed_decides() -> None:
    sketches = cohort(10)
    one, same, other = (bootstrap_sketches(sketches, names(10), ["ap"], resamples=200, seed=s)["ap"] for s in (1, 1, 2))
    assert one == same
    assert one != other


def test_flags_and_undefined_metrics() -> None:
    sketches = cohort(3)
    alone = bootstrap_sketches(sketches[:1], ["p"], ["ap"])["ap"]
    assert (alone.low, alone.high, alone.method, alone.flagged, alone.n_patients) == (None, None, "none", True, 1)
    assert alone.value == sketches[0].average_precision()
    same_patient = bootstrap_sketches(sketches, ["p"] * 3, ["auroc"])["auroc"]
    assert same_patient.low is None
    healthy = [ScoreSketch().update(np.arange(50.0) + i, np.zeros(50)) for i in range(4)]
    found = bootstrap_sketches(
        healthy, names(4), ["ap", "best_dice", PooledMetric("dice", 9.0), PooledMetric("fpr", 20.0)]
    )
    for metric in ("ap", "best_dice", "dice"):
        assert math.isnan(found[metric].value)
        assert found[metric].high is None
    assert found["fpr"].value == pytest.approx(ScoreSketch.merge(healthy).fpr_at(20.0))
    assert found["fpr"].low is not None


def test_a_value_without_contradiction_gets_a_binomial_limit() -> None:
    perfect = np.tile([10, 0, 0, 90], (8, 1))
    found = bootstrap_confusions(perfect, names(8), ["sensitivity", "fpr"])
    exact = binomtest(8, 8).proportion_ci(0.95, method="exact")
    assert found["sensitivity"].method == "binomial"
    assert (found["sensitivity"].low, found["sensitivity"].high) == pytest.approx((exact.low, exact.high))
    assert (found["fpr"].low, found["fpr"].high) == pytest.approx((0.0, 1 - exact.low))


def test_settings_are_checked() -> None:
    sketches = cohort(2)
    with pytest.raises(ValueError, match="no pooled metric 'dise'"):
        bootstrap_sketches(sketches, names(2), ["dise"])
    with pytest.raises(ValueError, match="needs a threshold"):
        bootstrap_sketches(sketches, names(2), ["dice"])
    with pytest.raises(ValueError, match="threshold nan"):
        PooledMetric("dice", math.nan)
    with pytest.raises(ValueError, match="3 patients for 2 items"):
        bootstrap_sketches(sketches, names(3), ["ap"])
    with pytest.raises(ValueError, match="resamples 5"):
        bootstrap_sketches(sketches, names(2), ["ap"], resamples=5)
    with pytest.raises(ValueError, match="no metric 'ap' at a threshold"):
        bootstrap_confusions(np.zeros((2, 4)), names(2), ["ap"])


def test_thousands_of_patients_take_seconds() -> None:
    rng = np.random.default_rng(0)
    positives, negatives = rng.poisson(5, (1000, 300)).astype(float), rng.poisson(50, (1000, 300)).astype(float)
    begin = time.process_time()
    bootstrap_histograms(positives, negatives, {"ap": pooled.average_precision}, {"ap": 0.1}, resamples=256)
    # 1/18 of 1,000 resamples over 4,443 patients; generous, since the benchmark measures it
    assert time.process_time() - begin < 5
