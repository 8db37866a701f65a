"""Leaderboard rows from the store: the contract of scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cerebench.boards import COLUMNS, leaderboard, leaderboard_rows, results, tables_about
from cerebench.errors import UsageError
from cerebench.jsonio import write_json
from cerebench.scoring.metrics import METRIC_VERSION
from cerebench.store import Store, status_record

CONTRACT = {
    *("protocol", "protocol_version", "method", "cohort", "modality", "variant", "level", "post", "stratum", "metric"),
    *("value", "low", "high", "n_cases", "provenance", "training_source", "preset", "seed", "status", "reason"),
}
ABOUT = {"protocol": "p", "protocol_version": 1, "preset": "quick", "banner": "smoke test", "ranked": False}
ABOUT |= {"headline": ["ap", "best_dice"], "task": "anomaly", "preparation": "abc"}


def cell(method: str, path: str | None = "", status: str = "planned", reason: str = "") -> dict[str, Any]:
    identity = {"protocol": "p", "protocol_version": 1, "preset": "quick", "method": method, "variant": ""}
    identity |= {"cohort": "c", "modality": "t1", "seed": 0, "provenance": "real", "training_source": "normals"}
    where = f"runs/{method}" if path == "" else path
    return {**identity, "healthy": False, "path": where, "status": status, "reason": reason}


def manifest(store: Store, *cells: dict[str, Any], name: str = "a", **about: Any) -> None:
    store.runs.mkdir(parents=True, exist_ok=True)
    content = {"schema_version": 1, "updated": "2026-01-01", "about": {**ABOUT, **about}, "cells": list(cells)}
    write_json(store.runs / f"manifest-{name}.json", content)


def finish(store: Store, path: str, value: float) -> None:
    metric = {
        "level": "voxel",
        "post": "raw",
        "stratum": "all",
        "metric": "ap",
        "value": value,
        "low": 0.1,
        "high": 0.9,
    }
    metric |= {"flagged": True, "interval": "bootstrap-t", "n_cases": 7, "reason": ""}
    with store.writing(path) as folder:
        table = {"case": ["p0"], "patient": ["c/p0"], "centre": [""], "level": ["voxel"], "post": ["raw"]}
        pd.DataFrame({**table, "metric": ["ap"], "value": [value]}).to_parquet(folder / "cases.parquet")
        write_json(folder / "metrics.json", {"metric_version": METRIC_VERSION, "rows": [metric]})
        write_json(folder / "status.json", status_record("ok"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def test_rows_hold_every_field_of_the_contract_at_full_precision(store):
    manifest(store, cell("good"))
    finish(store, "runs/good", 1 / 3)
    (row,) = leaderboard_rows(store.root)
    assert set(COLUMNS) >= CONTRACT
    assert tuple(row) == COLUMNS
    assert (row["value"], row["low"], row["n_cases"], row["status"], row["preparation"]) == (1 / 3, 0.1, 7, "ok", "abc")
    assert list(leaderboard(store.root).columns) == list(COLUMNS)


@pytest.mark.parametrize(
    ("made", "status", "reason"),
    [
        (cell("bad", None, "skipped", "no data"), "skipped", "no data"),
        (cell("bad", None, "failed", "a damaged file"), "failed", "a damaged file"),
        (cell("bad"), "missing", "not finished yet: run the same command again"),
    ],
)
def test_a_cell_without_result_has_rows_without_value_and_a_reason(store, made, status, reason):
    manifest(store, made)
    found = leaderboard_rows(store.root)
    assert [row["metric"] for row in found] == ["ap", "best_dice"]
    assert {(row["value"], row["status"], row["reason"]) for row in found} == {(None, status, reason)}
    assert all(tuple(row) == COLUMNS for row in found)


def test_a_failed_cell_keeps_its_reason_and_a_classification_one_its_level(store):
    manifest(store, cell("bad"), task="lesion-classification", headline=["auroc"])
    store.record_failure("runs/bad", "oom", "ran out of memory")
    (row,) = leaderboard_rows(store.root)
    assert (row["level"], row["status"], row["reason"]) == ("lesion", "oom", "ran out of memory")


@pytest.mark.parametrize("text", ["{", "{}", None])
def test_damaged_metrics_are_missing_not_wrong(store, text):
    manifest(store, cell("good"))
    finish(store, "runs/good", 0.5)
    path = store.path("runs/good") / "metrics.json"
    path.unlink() if text is None else path.write_text(text)
    assert {(row["value"], row["status"]) for row in leaderboard_rows(store.root)} == {(None, "missing")}


def test_results_are_one_row_a_case_and_metric_with_the_cells_identity(store):
    manifest(store, cell("good"), cell("bad"))
    finish(store, "runs/good", 0.5)
    table = results(store.root)
    assert table[["method", "cohort", "modality", "case", "metric", "value"]].values.tolist() == [
        ["good", "c", "t1", "p0", "ap", 0.5]
    ]


def test_nothing_finished_is_a_usage_error(store):
    manifest(store, cell("bad"))
    with pytest.raises(UsageError, match=r"no cell in .* has finished"):
        results(store.root)


def test_an_empty_folder_and_an_unknown_protocol_are_usage_errors(store):
    with pytest.raises(UsageError, match="no results in"):
        leaderboard_rows(store.root)
    manifest(store, cell("bad"))
    with pytest.raises(UsageError, match="no results of protocol 'pp'"):
        leaderboard_rows(store.root, "pp")


def test_banners_tell_ranked_presets_from_others(store):
    manifest(store, cell("bad"))
    manifest(store, {**cell("bad"), "preset": "paper"}, name="b", preset="paper", ranked=True, banner="")
    manifest(store, {**cell("bad"), "preset": "x"}, name="c", preset="x", banner="")
    banners, headlines, levels = tables_about(store.root)
    assert set(levels.values()) == {None}
    assert banners == {("p", 1, "quick"): "smoke test", ("p", 1, "paper"): "", ("p", 1, "x"): "not ranked"}
    assert headlines == {"p": ["ap", "best_dice"]}


def test_a_lost_healthy_column_misses_its_false_positive_rate_only(store):
    manifest(store, {**cell("lost", None, "failed", "a damaged file"), "healthy": True})
    (row,) = leaderboard_rows(store.root)
    assert (row["metric"], row["value"], row["status"]) == ("fpr", None, "failed")
