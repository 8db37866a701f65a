"""Across machines: paired permutation tests over a method's cases, held against an enumeration of all exchanges."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from cerebench.compare import chance
from cerebench.compare.accepted import load
from cerebench.compare.engine import compare
from cerebench.compare.report import Limits, Report

COHORTS = ("here", "there", "elsewhere")


def judged(old, new, **limits) -> Report:
    return compare(load(old.root), load(new.root), Limits(**limits))


def sides(folder, machine, usual, effect=None, methods=("one", "two", "three"), seeds=1, noise=0.01):
    """Two runs on two machines: noise between them, and planted effects by (method, cohort)."""
    rng = np.random.default_rng(7)
    old, new = folder("old"), folder("new")
    for method, cohort, seed in product(methods, COHORTS, range(seeds)):
        values = usual(cohort)
        old.add(method, cohort, seed)
        moved = {name: array + rng.normal(0, noise, len(array)) for name, array in values.items()}
        planted = (effect or {}).get((method, cohort), 0.0)
        other = {**machine, "name": "Other chip"}
        new.add(method, cohort, seed, machine=other, values={key: array + planted for key, array in moved.items()})
    return old, new


def test_noise_alone_is_fine(folder, machine, usual) -> None:
    report = judged(*sides(folder, machine, usual))
    assert (report.exit_code, report.exact, report.tested) == (0, 0, 6)
    assert not report.findings


def test_a_method_that_got_worse_is_found_with_the_cells_that_carry_it(folder, machine, usual) -> None:
    report = judged(*sides(folder, machine, usual, {("two", "there"): -0.08}))
    assert report.exit_code == 1
    assert {(one.method, one.what) for one in report.of("regression")} == {
        ("two", "ap (voxel, raw)"),
        ("two", "dice (voxel, raw)"),
    }
    found = report.of("regression")[0]
    assert found.cells == ("there t1 seed 0",)
    assert found.p is not None
    assert found.p < 0.01
    assert found.n == 36


def test_a_method_that_got_better_is_reported_and_fine(folder, machine, usual) -> None:
    report = judged(*sides(folder, machine, usual, {("one", cohort): 0.05 for cohort in COHORTS}))
    assert report.exit_code == 0
    assert {one.method for one in report.of("improvement")} == {"one"}


def test_a_small_but_certain_loss_needs_the_margin(folder, machine, usual) -> None:
    planted = {("one", cohort): -0.004 for cohort in COHORTS}
    both = sides(folder, machine, usual, planted, noise=0.0005)
    assert judged(*both).exit_code == 0
    assert {one.method for one in judged(*both, margin=0.0).of("regression")} == {"one"}


def test_p_values_are_those_of_all_exchanges() -> None:
    rng = np.random.default_rng(1)
    gains = rng.normal(0.3, 1, (9, 2))
    wanted = []
    for column in gains.T:
        signs = np.array(list(product((-1, 1), repeat=9)))
        wanted.append(np.mean(np.abs(signs @ column) >= abs(column.sum()) - 1e-12))
    assert chance._sign_flips(gains) == pytest.approx(wanted, abs=0.02)


def test_no_difference_at_all_has_no_small_p_value() -> None:
    assert chance._sign_flips(np.zeros((8, 1))) == pytest.approx([1.0])


def test_all_scans_of_a_patient_change_sign_together(folder, machine) -> None:
    """Forty scans of five patients are five patients."""
    old, new = folder("old"), folder("new")
    values = {"ap": np.full(5, 0.5)}
    for index in range(8):
        old.add(cohort="here", seed=index, values=values)
        new.add(cohort="here", seed=index, values={"ap": values["ap"] - 0.2}, machine={**machine, "name": "x"})
    report = judged(old, new)
    assert report.exit_code == 3
    assert any("5 patients, 6 needed" in note for note in report.notes)


def test_luck_of_the_seeds_explains_a_difference_that_cases_cannot(folder, machine, usual) -> None:
    """Every seed shifts all its cases: significant over cases, but seeds differ as much within one side."""
    old, new = folder("old"), folder("new")
    lucks = {old: (0.10, -0.10, 0.02), new: (-0.12, 0.06, -0.08)}
    for side, shifts in lucks.items():
        for seed, shift in enumerate(shifts):
            values = {name: array + shift for name, array in usual("here").items()}
            side.add(seed=seed, values=values, machine={**machine, "name": "old" if side is old else "new"})
    assert judged(old, new).exit_code == 0
    one_seed = {"values": {name: array - 0.05 for name, array in usual("here").items()}}
    single = folder("single").add(machine={**machine, "name": "new"}, **one_seed)
    assert judged(folder("base").add(), single).exit_code == 1


def test_seed_allowance_is_the_width_of_a_t_interval() -> None:
    from scipy.stats import ttest_ind

    seeds = np.array([0, 1, 2])
    sides = {"baseline": np.array([0.5, 0.53, 0.48]), "current": np.array([0.44, 0.47, 0.49])}
    allowed = chance._seed_allowance(sides, seeds, 0.05)
    interval = ttest_ind(sides["baseline"], sides["current"]).confidence_interval(0.95)
    assert allowed == pytest.approx((interval.high - interval.low) / 2)


def test_scores_of_lesions_are_compared_by_their_share_of_the_area(tmp_path, folder) -> None:
    """The mean of the parts that positives have is the area under the curve."""
    import pandas as pd
    from sklearn.metrics import roc_auc_score

    from cerebench.compare.reading import _placements

    rng = np.random.default_rng(3)
    labels = np.arange(20) % 2
    scores = np.round(rng.normal(labels, 1), 1)
    import pyarrow as pa

    rows = [
        {"case": f"l{i}", "patient": f"p{i}", "level": "lesion", "post": "", "metric": metric, "value": float(value)}
        for i in range(20)
        for metric, value in (("score", scores[i]), ("label", labels[i]))
    ]
    parts = pd.DataFrame(_placements(tmp_path, pa.Table.from_pylist(rows)))
    assert parts["value"][labels == 1].mean() == pytest.approx(roc_auc_score(labels, scores))
    assert parts["value"][labels == 0].mean() == pytest.approx(roc_auc_score(labels, scores))
