"""Runs held against each other: an unchanged tree, and what was planted in the method, the loop and the data."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.nn import functional as F

from cerebench.api import Prediction
from cerebench.compare.accepted import load
from cerebench.compare.engine import compare
from cerebench.compare.report import Report
from cerebench.jsonio import read_json
from cerebench.loop.thresholds import ThresholdRule


@pytest.fixture
def again(run, world, tmp_path: Path):
    """``again()``: run once more into another folder, and hold it against the first run."""
    run("toy-good")

    def go(**more) -> Report:
        run("toy-good", **{"results": tmp_path / "again", **more})
        return compare(load(world.results), load(tmp_path / "again"))

    return go


@pytest.fixture
def good(run, world):
    """The class of the method, as the runs import it."""
    from cerebench_toy_world.hostile import Good

    return Good


def blurred(width: int):
    def predict(self, images, context):
        maps = images[:, 0].abs() ** self.settings.power * context.brain
        pool = F.avg_pool2d if maps.dim() == 3 else F.avg_pool3d
        return Prediction(maps=pool(maps[:, None], width, 1, width // 2)[:, 0] * context.brain)

    return predict


def test_an_unchanged_tree_is_exactly_equal(again) -> None:
    report = again()
    assert (report.exit_code, report.compared, report.exact) == (0, 4, 4)
    assert not [finding for finding in report.findings if finding.subject == "metric"]


def test_a_blurred_map_is_a_regression_and_its_removal_an_improvement(
    again, good, monkeypatch, world, tmp_path
) -> None:
    monkeypatch.setattr(good, "predict", blurred(5))
    report = again()
    found = {finding.what for finding in report.of("regression")}
    assert report.exit_code == 1
    assert "ap (voxel, raw)" in found
    assert {finding.method for finding in report.of("regression")} == {"toy-good"}
    back = compare(load(tmp_path / "again"), load(world.results))
    assert "ap (voxel, raw)" in {finding.what for finding in back.of("improvement")}


def test_a_moved_threshold_is_found_by_what_it_decides_alone(again, monkeypatch) -> None:
    chosen = ThresholdRule.for_patient

    def moved(self, patient):
        thresholds = chosen(self, patient)
        return thresholds.__class__(
            **{**vars(thresholds), "dice": {post: value * 1.5 for post, value in thresholds.dice.items()}}
        )

    monkeypatch.setattr(ThresholdRule, "for_patient", moved)
    report = again()
    assert report.exit_code == 1
    assert {finding.what.split()[0] for finding in report.of("regression")} == {"dice"}
    assert "ap" not in {finding.what.split()[0] for finding in report.findings}


def test_a_cohort_that_now_fails_is_named(again, world) -> None:
    (world.data / "toy-lesion" / "p03_t1.nii.gz").write_bytes(b"damaged")
    report = again()
    assert report.exit_code == 1
    (found,) = [finding for finding in report.of("regression") if finding.cells == ("toy-lesion t1 seed 0",)]
    assert found.subject == "cell"
    assert "p03_t1.nii.gz" in found.text


def test_changed_test_data_are_not_compared(again, world) -> None:
    import shutil

    for index in range(1, 10):
        shutil.copy(world.data / "toy-lesion/p00_t2.nii.gz", world.data / f"toy-lesion/p{index:02d}_t2.nii.gz")
    report = again()
    assert report.exit_code == 2
    assert report.compared == 2  # the thresholds of both t2 columns stand on these cases
    assert any("toy-good on toy-lesion t2 seed 0: not the same cases (tested" in line for line in report.incomparable)


def test_provenance_says_what_a_cell_ran_on(run, world) -> None:
    run("toy-good")
    cell = next(world.results.rglob("runs/**/provenance.json"))
    about = read_json(cell)
    assert about["machine"]["device"] == "cpu"
    assert about["machine"]["threads"] == 1
    assert about["machine"]["determinism"]["deterministic_algorithms"] is True
    assert about["plugin"] == {"distribution": "cerebench-toy-world", "version": "1.0"}
    assert about["precision"] == "32-true"
    assert about["nondeterministic_operations"] == []
    assert (about["seed"], about["data"]["tested"]["cases"]) == (0, read_json(cell.parent / "cell.json")["n_cases"])
    assert set(about) >= {"git", "cerebench", "libraries", "command", "method_key", "preparation", "data"}
    timing = read_json(cell.parent / "timing.json")
    assert set(timing["waiting"]) == set(timing["seconds"])
