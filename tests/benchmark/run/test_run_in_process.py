"""Runs end to end in one process: stages, resume, rows, splits between provenance and variants."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

import cerebench
from cerebench.boards import COLUMNS, leaderboard_rows
from cerebench.errors import UsageError
from cerebench.store import Store


def rows_of(world, **wanted):
    rows = leaderboard_rows(world.results)
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def test_first_run_fills_every_cell_and_second_computes_nothing(run, world):
    first = run("toy-good")
    assert first.exit_code == 0
    assert first.counts["ok"] == 4
    assert first.evaluated == 4
    before = {path: path.stat().st_mtime_ns for path in world.results.rglob("cases.parquet")}
    second = run("toy-good")
    assert (second.exit_code, second.evaluated) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in world.results.rglob("cases.parquet")} == before


def test_rows_have_the_contract_fields_and_no_ap_on_healthy_columns(run, world):
    run("toy-good")
    rows = leaderboard_rows(world.results)
    assert all(tuple(row) == COLUMNS for row in rows)
    metrics = {(row["cohort"], row["level"], row["metric"]) for row in rows}
    assert ("toy-lesion", "voxel", "ap") in metrics
    assert ("toy-healthy", "voxel", "ap") not in metrics
    assert ("toy-healthy", "voxel", "fpr") in metrics
    assert {row["provenance"] for row in rows} == {"real"}
    assert {row["post"] for row in rows if row["level"] == "voxel"} == {"raw", "median"}
    assert {"slice", "subject"} <= {row["level"] for row in rows}


def test_pooled_ap_and_auroc_equal_scikit_learn_on_the_prepared_voxels(run, world):
    result = run("toy-good[power=1]")
    cells = [cell for job in result.plans[0].jobs for cell in job.evaluations if cell.identity.cohort == "toy-lesion"]
    for cell in cells:
        scores, labels = [], []
        for ref in cell.cases:
            from cerebench.loop.feed import prepared

            entry = prepared(ref)
            inside = entry.brain()
            scores.append(np.abs(entry.image()[0][inside]))
            labels.append(entry.labels()[inside] == 1)
        y, x = np.concatenate(labels), np.concatenate(scores)
        wanted = {"cohort": "toy-lesion", "modality": cell.identity.modality, "level": "voxel", "post": "raw"}
        (ap,) = rows_of(world, metric="ap", **wanted)
        (auroc,) = rows_of(world, metric="auroc", **wanted)
        assert ap["value"] == pytest.approx(average_precision_score(y, x), abs=1e-3)
        assert auroc["value"] == pytest.approx(roc_auc_score(y, x), abs=1e-3)
        assert ap["variant"] == "power=1"


def test_transferred_dice_is_the_dice_of_the_validation_threshold(run, world):
    result = run("toy-good")
    store = Store(world.results)
    cell = next(c for job in result.plans[0].jobs for c in job.evaluations if c.identity.cohort == "toy-lesion")
    thresholds = json.loads((store.path(cell.path) / "thresholds.json").read_text())
    table = cerebench.results(world.results)
    mine = table[(table["cohort"] == "toy-lesion") & (table["modality"] == cell.identity.modality)]
    raw = mine[(mine["post"] == "raw") & mine["metric"].isin(["tp", "fp", "fn"])]
    sums = raw.groupby("metric")["value"].sum()
    tp = fp = fn = 0
    from cerebench.loop.feed import prepared

    for ref in cell.cases:
        entry = prepared(ref)
        above = (entry.image()[0] ** 2 * entry.brain()) >= thresholds[ref.patient]["dice"]["raw"]
        above &= entry.brain()
        lesion = (entry.labels() == 1) & entry.brain()
        tp, fp, fn = tp + (above & lesion).sum(), fp + (above & ~lesion).sum(), fn + (~above & lesion).sum()
    assert (sums["tp"], sums["fp"], sums["fn"]) == (tp, fp, fn)  # 8 mm voxels: no component is below 7 mm³
    (dice,) = rows_of(world, cohort="toy-lesion", modality=cell.identity.modality, metric="dice", post="raw")
    assert dice["value"] == pytest.approx(2 * tp / (2 * tp + fp + fn))


def test_two_methods_share_one_pretraining(run, world):
    assert run("toy-feature-*").exit_code == 0
    pretrained = sorted((world.results / "artefacts" / "pretrain").iterdir())
    assert [path.name.rsplit("-", 1)[0] for path in pretrained] == ["toy-encoder", "toy-encoder"]  # one a modality
    assert len(list((world.results / "artefacts" / "fit").iterdir())) == 4


def test_adapted_and_source_only_are_two_rows(run, world):
    assert run("toy-adapted").exit_code == 0
    rows = rows_of(world, metric="ap", post="raw", level="voxel", modality="t1")
    assert sorted(row["variant"] for row in rows) == ["", "adapted"]
    assert len({row["value"] for row in rows}) == 2
    adapted = next(row for row in rows if row["variant"] == "adapted")
    assert "adapted on toy-lesion" in adapted["training_source"]


def test_seeds_are_rows_of_their_own_and_share_unseeded_stages(run, world):
    run("toy-feature-distance", seeds=2)
    assert {row["seed"] for row in leaderboard_rows(world.results)} == {0, 1}


def test_failed_cell_is_kept_shown_and_tried_again(run, world):
    result = run("toy-raises,toy-good")
    assert result.exit_code == 1
    rows = rows_of(world, method="toy-raises", cohort="toy-lesion", modality="t1")
    assert {row["status"] for row in rows} == {"failed"}
    assert all(row["value"] is None and "KeyError" in row["reason"] for row in rows)
    assert rows_of(world, method="toy-good", metric="ap")
    again = run("toy-raises,toy-good")
    assert (again.exit_code, again.evaluated) == (1, 0)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("toy-raises-late", "ZeroDivisionError"),
        ("toy-shape", "maps have shape (1, 23, 24, 24), expected (1, 24, 24, 24)"),
        ("toy-nan", "maps hold NaN or infinite values"),
        ("toy-device", "maps are on meta, expected cpu"),
    ],
)
def test_misbehaviour_is_one_clear_sentence(run, world, method, words):
    assert run(method).exit_code == 1
    reasons = {row["reason"] for row in rows_of(world, method=method)}
    assert reasons
    assert all(words in reason and method in reason for reason in reasons)


def test_changed_setting_makes_new_cells_and_keeps_the_old(run, world):
    run("toy-good")
    run("toy-good[power=3]")
    variants = {row["variant"] for row in rows_of(world, metric="ap", post="raw", modality="t1", cohort="toy-lesion")}
    assert variants == {"", "power=3"}


def test_table_and_results_read_the_store(run, world):
    run("toy-good")
    table = cerebench.leaderboard(world.results)
    assert list(table.columns) == list(COLUMNS)
    long = cerebench.results(world.results)
    assert {"case", "patient", "level", "post", "metric", "value", "method", "cohort"} <= set(long.columns)
    assert long[long["metric"] == "lesion_ml"]["value"].max() > 0


def test_dry_run_writes_nothing(run, world):
    result = run("toy-good", dry_run=True)
    assert sum(len(job.evaluations) for job in result.plans[0].jobs) == 4
    assert not world.results.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"methods": "toy-god"}, "did you mean 'toy-good'"),
        ({"methods": "toy-good[pover=1]"}, "did you mean 'power'"),
        ({"protocols": "toy-transfr"}, "did you mean 'toy-transfer'"),
        ({"preset": "quik"}, "did you mean 'quick'"),
        ({"device": "tpu"}, "--device 'tpu' is unknown"),
        ({"shard": "3/2"}, "expected i/n"),
        ({"seeds": 0}, "--seeds 0"),
        ({"methods": "toy-lesion-classifier"}, "does lesion-classification"),
    ],
)
def test_wrong_words_are_usage_errors(world, options, words):
    values = world.options(in_process=True, **options)
    with pytest.raises(UsageError, match=words.replace("[", r"\[").replace("(", r"\(")):
        cerebench.run(values.pop("methods", "toy-good"), "toy-*", **values)


def test_shards_cover_the_plan_once(run, world):
    whole = run("toy-*", dry_run=True).plans[0]
    parts = [whole.shard(number, 3) for number in (1, 2, 3)]
    assert sorted(job.id for part in parts for job in part) == sorted(job.id for job in whole.jobs)
