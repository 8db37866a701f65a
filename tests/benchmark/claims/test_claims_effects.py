"""Differences with intervals: against scipy's bootstrap, a closed form, and the rate of false verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cerebench.claims.effects import FEWEST, Weighted, difference
from cerebench.claims.tables import Table
from cerebench.scoring import pooled


def table(hits, patients, items=10, **more):
    """Sensitivity of patients with ``hits`` of ``items`` positives found."""
    counts = np.stack([hits, items - hits], axis=1).astype(float)
    order = np.argsort(patients)
    value = float(hits.sum() / (items * len(hits)))
    limits = {"value": value, "low": None, "high": None, "certain": False, **more}
    strata = np.ones(len(hits), np.int64)
    names = tuple(np.asarray(patients)[order])
    return Table(names, counts[order], np.zeros_like(counts), strata, pooled.sensitivity_at(1), **limits)


def one(item):
    return [Weighted(1.0, item)]


def names(count, cohort="c"):
    return [f"{cohort}/p{at:04d}" for at in range(count)]


def paired_hits(rng, count, chances=(0.6, 0.6), items=10):
    """Hits of two methods that find the same patients hard."""
    ease = rng.normal(0, 0.8, count)
    shares = [1 / (1 + np.exp(-(math.log(chance / (1 - chance)) + ease))) for chance in chances]
    return [rng.binomial(items, share) for share in shares]


def test_paired_limits_agree_with_scipys_paired_bootstrap():
    first, second = paired_hits(np.random.default_rng(1), 200, (0.7, 0.55))
    mine = difference(one(table(first, names(200))), one(table(second, names(200))), resamples=4000)
    theirs = stats.bootstrap(
        (first / 10, second / 10),
        lambda a, b, axis: (a - b).mean(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=4000,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert mine.method == "paired bootstrap-t"
    assert mine.shared == 200
    assert mine.value == pytest.approx((first - second).mean() / 10)
    assert mine.low == pytest.approx(theirs.low, abs=0.06 * width)
    assert mine.high == pytest.approx(theirs.high, abs=0.06 * width)


def test_independent_limits_agree_with_welch():
    rng = np.random.default_rng(2)
    first, second = paired_hits(rng, 150, (0.7, 0.5))[0], paired_hits(rng, 90, (0.7, 0.5))[1]
    mine = difference(one(table(first, names(150, "a"))), one(table(second, names(90, "b"))), resamples=4000)
    welch = stats.ttest_ind(first / 10, second / 10, equal_var=False).confidence_interval(0.95)
    width = welch.high - welch.low
    assert mine.method == "independent bootstrap-t"
    assert (mine.n_patients, mine.shared) == ((150, 90), 0)
    assert mine.low == pytest.approx(welch.low, abs=0.06 * width)
    assert mine.high == pytest.approx(welch.high, abs=0.06 * width)


def test_pairing_is_by_patient_whatever_the_order_of_rows():
    first, second = paired_hits(np.random.default_rng(3), 60)
    mixed = np.random.default_rng(0).permutation(60)
    straight = difference(one(table(first, names(60))), one(table(second, names(60))))
    shuffled = difference(one(table(first, names(60))), one(table(second[mixed], [names(60)[at] for at in mixed])))
    assert straight == shuffled
    apart = difference(one(table(first, names(60))), one(table(second, names(60, "other"))))
    assert apart.high - apart.low > 1.15 * (straight.high - straight.low)


def test_shared_controls_are_drawn_once_for_both_sides():
    rng = np.random.default_rng(4)
    common = paired_hits(rng, 80)
    extra = rng.binomial(10, 0.6, 20)
    first = table(np.concatenate([common[0], extra]), [*names(80), *names(20, "x")])
    second = table(np.concatenate([common[1], extra[::-1]]), [*names(80), *names(20, "y")])
    found = difference(one(first), one(second))
    assert found.method == "partly paired bootstrap-t"
    assert found.shared == 80
    assert found.n_patients == (100, 100)


def test_seeds_and_columns_are_averaged():
    first, second = paired_hits(np.random.default_rng(5), 50, (0.7, 0.5))
    sides = [Weighted(0.5, table(first, names(50))), Weighted(0.5, table(second, names(50)))]
    found = difference(sides, one(table(second, names(50))))
    alone = difference(one(table(first, names(50))), one(table(second, names(50))))
    assert found.value == pytest.approx(alone.value / 2)
    # half of a difference of the same patients varies half as much
    assert found.high - found.low == pytest.approx((alone.high - alone.low) / 2, rel=0.03)


def test_a_side_that_nobody_contradicts_keeps_its_binomial_doubt():
    n = 12
    sure = table(np.full(n, 10), names(n), low=0.025 ** (1 / n), high=1.0, certain=True)
    hits = np.random.default_rng(6).binomial(10, 0.9, n)
    rest = table(hits, names(n), low=0.82, high=0.95)
    found = difference(one(sure), one(rest))
    gap = 1 - hits.sum() / (10 * n)
    assert found.method.endswith("widened")
    assert found.low <= gap - math.hypot(1 - 0.025 ** (1 / n), 0.95 - hits.sum() / (10 * n)) + 1e-12
    both = difference(one(sure), one(sure))
    assert (both.value, both.low) == (0.0, -both.high)
    assert both.high == pytest.approx(1 - 0.025 ** (1 / n))


def test_few_patients_give_no_interval():
    few = table(np.array([3, 4, 5, 6]), names(FEWEST - 1))
    many = table(np.arange(10), names(10))
    assert difference(one(few), one(many)).low is None
    assert difference(one(table(np.arange(5), names(5))), one(many)).low is not None


def test_limits_stay_within_the_possible():
    high = table(np.array([10, 10, 10, 10, 9, 10]), names(6))
    low = table(np.array([0, 0, 1, 0, 0, 0]), names(6, "d"))
    found = difference(one(high), one(low))
    assert -1 <= found.low < found.value < found.high <= 1


@pytest.mark.parametrize("paired", [True, False], ids=["paired", "independent"])
@pytest.mark.parametrize("patients", [8, 30])
def test_no_effect_is_rarely_supported_and_a_gross_one_always(paired, patients):
    """400 simulated contrasts: of the nominal 2.5 %, at most 5 % may lie above zero. Eight patients may miss."""
    other = "c" if paired else "d"
    wrong = covered = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        first, second = paired_hits(rng, patients)
        if not paired:
            second = paired_hits(rng, patients)[1]
        found = difference(
            one(table(first, names(patients))), one(table(second, names(patients, other))), resamples=200, seed=seed
        )
        wrong += found.low > 0
        covered += found.low <= 0 <= found.high
    assert wrong <= 0.05 * 400
    assert covered >= 0.91 * 400
    missed = 0
    for seed in range(100):
        first, second = paired_hits(np.random.default_rng(seed), patients, (0.95, 0.2))
        found = difference(
            one(table(first, names(patients))), one(table(second, names(patients, other))), resamples=200, seed=seed
        )
        missed += found.low <= 0
    assert missed <= (0 if patients >= 30 else 5)
