"""Listings and ``show``: the fields that scripts rely on."""

from __future__ import annotations

import pytest

from cerebench import __version__


def test_methods(bench):
    rows = {row["name"]: row for row in bench("list", "methods", "--json").json}
    assert {"autoencoder", "intensity-threshold"} <= set(rows)
    row = rows["autoencoder"]
    assert row["task"] == "anomaly"
    assert row["supervision"] == "healthy"
    assert isinstance(row["modalities"], list)
    assert (row["source"], row["version"], row["state"], row["error"]) == ("cerebench", __version__, "ok", "")
    assert row["summary"].endswith(".")


def test_cohorts(bench, tmp_path):
    rows = {row["name"]: row for row in bench("list", "cohorts", "--json").json}
    assert {"ixi", "brats-gli", "mslub"} <= set(rows)
    assert rows["ixi"]["healthy"] is True
    assert rows["mslub"]["healthy"] is False
    assert rows["ixi"]["licence"].startswith("CC")
    assert "flair" in rows["mslub"]["modalities"]
    assert {row["available"] for row in rows.values()} == {"in-silico"}
    (tmp_path / "mslub").mkdir()
    (tmp_path / "mslub" / "patient.nii.gz").touch()
    found = bench("list", "cohorts", "--json", "--data-root", str(tmp_path)).json
    assert {row["name"]: row["available"] for row in found}["mslub"] == "real"
    assert {row["name"]: row["available"] for row in found}["ixi"] == "in-silico"


def test_the_data_root_can_come_from_the_environment(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("CEREBENCH_DATA", str(tmp_path))
    assert bench("list", "cohorts").code == 0
    monkeypatch.setenv("CEREBENCH_DATA", str(tmp_path / "gone"))
    done = bench("list", "cohorts")
    assert done.code == 2
    assert done.err.startswith(f"Error: CEREBENCH_DATA {tmp_path / 'gone'} is not a folder")


def test_local_cards(bench, tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\nmodalities: [t1]\nhealthy: true\n")
    rows = {row["name"]: row for row in bench("list", "cohorts", "--json", "--cards", str(tmp_path)).json}
    assert rows["mine"]["source"] == "local"
    assert rows["mine"]["available"] == "none"


def test_protocols(bench):
    rows = {row["name"]: row for row in bench("list", "protocols", "--json").json}
    assert rows["multicentre-anomaly"]["protocol_version"] == 1


def test_metrics_are_those_of_the_contract(bench):
    rows = {row["name"]: row for row in bench("list", "metrics", "--json").json}
    assert set(rows) == {
        "ap",
        "auroc",
        "best_dice",
        "dice",
        "sensitivity",
        "specificity",
        "accuracy",
        "balanced_accuracy",
        "fpr",
        "fpr_at_95tpr",
        "sensitivity_at_1fpr",
        "sensitivity_at_5fpr",
        "sensitivity_at_10fpr",
        "brier",
        "prevalence",
        "dice_at_balanced",
        "sensitivity_at_balanced",
        "fpr_at_balanced",
    }
    assert rows["fpr"]["higher_is_better"] is False
    assert rows["dice"]["levels"] == ["voxel"]


@pytest.mark.parametrize("kind", ["methods", "cohorts", "protocols", "metrics"])
def test_a_table_has_one_line_a_row(bench, kind):
    rows = bench("list", kind, "--json").json
    lines = bench("list", kind).out.splitlines()
    assert len(lines) == len(rows) + 2
    assert [line.split()[0] for line in lines[2:]] == [row["name"] for row in rows]
    assert "state" not in lines[0].split()


def test_a_blocked_plugin_shows_in_the_table(bench, monkeypatch):
    monkeypatch.setenv("CEREBENCH_BLOCK_PLUGINS", "cerebench-methods")
    done = bench("list", "methods")
    assert "blocked" in done.out
    assert done.err == ""
    refused = bench("show", "method", "autoencoder")
    assert refused.code == 2
    assert "CEREBENCH_BLOCK_PLUGINS names it" in refused.err


def test_show_method(bench):
    shown = bench("show", "method", "autoencoder", "--json").json
    width = next(setting for setting in shown["settings"] if setting["name"] == "width")
    assert width["type"] == "int"
    assert width["default"] > 0
    assert set(width["presets"]) == set(shown["presets"])
    assert width["presets"]["quick"] <= width["default"]
    assert width["description"]
    assert shown["assumptions"]
    text = bench("show", "method", "autoencoder").out
    for part in ("summary:", "settings\n", "width", "assumptions\n", "quick"):
        assert part in text


def test_show_cohort_and_protocol(bench):
    assert bench("show", "cohort", "mslub", "--json").json["name"] == "mslub"
    assert "licence: " in bench("show", "cohort", "mslub").out
    assert bench("show", "protocol", "multicentre-anomaly", "--json").json["version"] == 1
