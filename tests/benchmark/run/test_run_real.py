"""Real scans, where they are present: provenance, thresholds without the tested patient, words about training."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import cerebench
from cerebench.boards import leaderboard_rows

REAL = Path(__file__).parents[4] / "shared" / "real"
pytestmark = pytest.mark.skipif(
    not (REAL / "mslub").is_dir(), reason="needs real scans in ../shared/real, which are not shipped"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Raw intensity on the two real patients at the smallest preset."""
    folder = tmp_path_factory.mktemp("real")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CEREBENCH_PLUGINS", "")
        patch.setenv("CEREBENCH_CACHE", str(folder / "cache"))
        yield cerebench.run(
            "intensity-threshold", "mslub", data_root=REAL, results=folder / "results", device="cpu", in_process=True
        )


def test_both_patients_are_tested_and_every_number_is_marked_real(finished):
    assert finished.exit_code == 0, finished.problems
    rows = [row for row in leaderboard_rows(finished.results) if row["value"] is not None]
    assert {row["modality"] for row in rows} == {"t1", "t2"}
    assert {row["provenance"] for row in rows} == {"real"}
    pooled = [row for row in rows if row["level"] == "voxel" and row["metric"] == "ap"]
    assert {row["n_cases"] for row in pooled} == {2}
    assert all(row["flagged"] for row in pooled)  # an interval from two patients is no interval
    assert {row["preset"] for row in rows} == {"quick"}
    auroc = {
        row["modality"]: row["value"]
        for row in rows
        if (row["level"], row["metric"], row["post"]) == ("voxel", "auroc", "raw")
    }
    assert auroc["t2"] > 0.7  # lesions are bright on T2
    assert auroc["t1"] < 0.5  # and dark on T1


def test_columns_without_a_healthy_source_of_their_modality_are_skipped_with_that_reason(finished):
    rows = {row["modality"]: row for row in leaderboard_rows(finished.results) if row["status"] == "skipped"}
    assert set(rows) == {"flair", "t1c"}
    assert "flair" in rows["flair"]["reason"]
    assert "no case of 'mslub' has t1c" in rows["t1c"]["reason"]


def test_thresholds_come_from_the_other_patient(finished):
    """Dice at a patient's transferred threshold is the best one of the other patient, who is all there is."""
    checked = 0
    for folder in finished.results.glob("runs/*/intensity-threshold/mslub-t2/seed*"):
        thresholds = json.loads((folder / "thresholds.json").read_text())
        cases = pd.read_parquet(folder / "cases.parquet")
        assert set(cases["patient"]) == {"mslub/patient07", "mslub/patient19"}
        from cerebench.scoring.storage import load_sketches

        sketches = load_sketches(folder / "sketches.npz")
        for patient, other in (("patient07", "patient19"), ("patient19", "patient07")):
            chosen = thresholds[f"mslub/{patient}"]["dice"]["raw"]
            best, threshold = sketches[f"{other}/raw"].best_dice()
            assert chosen == pytest.approx(threshold, rel=1e-6), (patient, best)
            checked += 1
    assert checked == 2


def test_training_is_told_in_words(finished):
    sources = {row["training_source"] for row in leaderboard_rows(finished.results) if row["status"] == "ok"}
    assert sources == {"none (nothing is learnt)"}


def test_heads_with_skull_make_training_fall_back_to_twins_and_the_rows_say_so(tmp_path, monkeypatch):
    monkeypatch.setenv("CEREBENCH_CACHE", str(tmp_path / "cache"))
    result = cerebench.run(
        "autoencoder",
        "mslub",
        protocols="multicentre-anomaly",
        data_root=REAL,
        results=tmp_path / "results",
        device="cpu",
        dry_run=True,
    )
    (plan,) = result.plans
    cells = {cell.identity.modality: cell.identity for job in plan.jobs for cell in job.evaluations}
    assert {"t1", "t2"} <= set(cells)
    for identity in cells.values():
        assert identity.provenance == "real"
        assert identity.training_source == "ixi healthy subjects (in-silico): trained in silico, tested real"
    skipped = {item.identity.modality: item.reason for item in plan.skipped}
    assert "flair" in skipped.keys() | cells.keys()
    assert "t1c" in skipped
    assert not (tmp_path / "results").exists()
