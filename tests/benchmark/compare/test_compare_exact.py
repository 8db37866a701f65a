"""On one machine equal code gives equal bits: every difference is told, one beyond tolerance decides."""

from __future__ import annotations

import numpy as np
import pytest

from cerebench.compare.accepted import load
from cerebench.compare.engine import compare
from cerebench.compare.report import Report
from cerebench.scoring.metrics import AP


def judged(old, new) -> Report:
    return compare(load(old.root), load(new.root))


def two(folder, values=None, **more):
    old, new = folder("old").add(), folder("new").add(values=values, **more)
    return judged(old, new)


def test_an_unchanged_tree_is_fine(folder) -> None:
    report = two(folder)
    assert (report.exit_code, report.findings, report.compared, report.exact) == (0, (), 1, 1)
    assert report.verdict == "fine: 1 pair of cells compared, all equal"


def test_one_case_that_gets_worse_is_a_regression_with_its_name(folder, usual) -> None:
    values = usual("here")
    values["ap"][3] -= 0.1
    report = two(folder, values)
    assert report.exit_code == 1
    (found,) = report.of("regression")
    assert (found.method, found.what, found.cells) == ("one", "ap (voxel, raw)", ("here t1 seed 0",))
    assert found.difference == pytest.approx(-0.1 / 12)
    assert "1 of 12 cases differ" in found.text
    assert "most in case c03" in found.text


def test_a_moved_threshold_moves_the_dice_alone(folder, usual) -> None:
    values = usual("here")
    values["dice"] -= 0.02
    report = two(folder, values)
    assert [one.what for one in report.of("regression")] == ["dice (voxel, raw)"]
    assert not report.of("change")


def test_within_tolerance_is_a_change_and_no_regression(folder, usual) -> None:
    values = usual("here")
    values["ap"] -= AP.tolerance / 2
    report = two(folder, values)
    assert report.exit_code == 0
    assert [one.kind for one in report.findings] == ["change"]


def test_an_improvement_is_reported_and_fine(folder, usual) -> None:
    values = usual("here")
    values["ap"] += 0.05
    values["ap"][0] -= 0.06  # one case loses, the others gain more
    report = two(folder, values)
    assert report.exit_code == 0
    assert [one.what for one in report.of("improvement")] == ["ap (voxel, raw)"]


def test_a_metric_that_decides_nothing_is_a_change(folder, usual) -> None:
    old = folder("old").add(values=usual("here") | {"auroc": np.full(12, 0.9)})
    new = folder("new").add(values=usual("here") | {"auroc": np.full(12, 0.5)})
    report = judged(old, new)
    assert report.exit_code == 0
    assert [(one.kind, one.what) for one in report.findings] == [("change", "auroc (voxel, raw)")]


def test_on_healthy_columns_more_false_positives_are_worse(folder) -> None:
    old = folder("old").add(healthy=True, values={"fpr": np.full(12, 0.01)})
    new = folder("new").add(healthy=True, values={"fpr": np.full(12, 0.05)})
    (found,) = judged(old, new).of("regression")
    assert found.what == "fpr (voxel, raw)"
    assert not judged(new, old).of("regression")


def test_a_case_that_lost_its_value_is_a_regression(folder, usual) -> None:
    values = usual("here")
    values["ap"][5] = np.nan
    (found,) = [one for one in two(folder, values).of("regression") if one.what == "ap (voxel, raw)"]
    assert "1 have no value any more" in found.text


def test_pooled_values_count_where_cases_are_equal(folder) -> None:
    from cerebench.jsonio import read_json, write_json

    old, new = folder("old").add(), folder("new").add()
    path = next(new.root.rglob("metrics.json"))
    metrics = read_json(path)
    metrics["rows"][0]["value"] -= 0.1
    write_json(path, metrics)
    (found,) = judged(old, new).of("regression")
    assert "most in all cases pooled" in found.text


@pytest.mark.parametrize(
    "planted", [{"name": "Other chip"}, {"torch": "3"}, {"threads": 2}, {"capability": "AVX512"}, {"device": "cuda"}]
)
def test_another_machine_library_or_thread_count_is_not_exact(folder, machine, planted) -> None:
    report = two(folder, machine={**machine, **planted})
    assert (report.compared, report.exact) == (1, 0)


def test_operations_without_a_deterministic_kernel_are_not_exact(folder) -> None:
    from cerebench.jsonio import read_json, write_json

    old, new = folder("old").add(), folder("new").add()
    for side in (old, new):
        path = next(side.root.rglob("provenance.json"))
        write_json(path, {**read_json(path), "nondeterministic_operations": ["cumsum_cuda_kernel"]})
    assert judged(old, new).exact == 0
