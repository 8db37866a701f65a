"""A run whose protocol makes a balanced selection: a second threshold, with metrics of its own."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import yaml

import cerebench
from cerebench.plugins.registry import Registry


@pytest.fixture
def select(tmp_path, monkeypatch, world):
    """``select(balanced=[…])``: the toy protocol with another selection, in every registry."""
    original = Registry.discover([world.cards]).protocol_file("toy-transfer")

    def change(cases=None, **selection):
        document = yaml.safe_load(original.read_text())
        document["select"] = {**document.get("select", {}), **selection}
        document["presets"]["nightly"]["balanced_cases"] = cases
        path = tmp_path / "changed.yaml"
        path.write_text(yaml.safe_dump(document))
        monkeypatch.setattr(Registry, "protocol_file", lambda self, name: path)

    return change


def references(world):
    """Validation records of every reference cell, by folder."""
    found = (world.results / "artefacts" / "reference").glob("*/validation.json")
    return {path.parent.name: json.loads(path.read_text())["cases"] for path in found}


def test_decisions_at_the_balanced_threshold_are_metrics_of_their_own(run, world, select):
    select(balanced=["toy-lesion"])
    run("toy-good", preset="nightly")

    rows = cerebench.leaderboard(world.results)
    cases = cerebench.results(world.results)
    mine = (cases["cohort"] == "toy-lesion") & (cases["modality"] == "t1") & (cases["post"] == "raw")
    sums = cases[mine].groupby("metric")["value"].sum()
    wanted = {
        "dice_at_balanced": 2
        * sums["tp_at_balanced"]
        / (2 * sums["tp_at_balanced"] + sums["fp_at_balanced"] + sums["fn_at_balanced"]),
        "sensitivity_at_balanced": sums["tp_at_balanced"] / (sums["tp_at_balanced"] + sums["fn_at_balanced"]),
        "fpr_at_balanced": sums["fp_at_balanced"] / (sums["fp_at_balanced"] + sums["tn_at_balanced"]),
    }
    here = (
        (rows["cohort"] == "toy-lesion")
        & (rows["modality"] == "t1")
        & (rows["post"] == "raw")
        & (rows["level"] == "voxel")
    )
    found = rows[here].set_index("metric")["value"]
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value), name
    healthy = rows[(rows["cohort"] == "toy-healthy") & rows["metric"].str.endswith("_at_balanced")]
    assert set(healthy["metric"]) == {"fpr_at_balanced"}
    # one kind of lesion, from the cohort that also fixes the first threshold: the same decisions
    assert found["dice_at_balanced"] == found["dice"]


def test_the_preset_limits_the_cases_and_without_a_balanced_selection_keys_stay(run, world, select):
    run("toy-good", preset="nightly")
    plain = references(world)
    select()
    assert run("toy-good", preset="nightly").evaluated == 0
    select(cases=0, balanced=["toy-lesion"])
    assert run("toy-good", preset="nightly").evaluated == 0

    select(cases=1, balanced=["toy-lesion"])
    run("toy-good", preset="nightly")

    added = {name: records for name, records in references(world).items() if name not in plain}
    assert len(added) == len(plain)
    for records in added.values():
        chosen = [record for record in records if record["role"] == "balanced"]
        assert [record["kind"] for record in chosen] == ["toy-lesion"]
        assert chosen[0]["patient"].startswith("toy-lesion/")
    stored = pd.concat([pd.read_parquet(path) for path in world.results.glob("runs/*/*/toy-lesion-*/*/cases.parquet")])
    assert {"tp", "tp_at_balanced"} <= set(stored["metric"])
