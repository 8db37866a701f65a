"""``diagnose`` end to end on the toy world, against the stored rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from cerebench.api import Diagnosis, Figure, Finding, Panels, Scatter
from cerebench.diagnose.run import diagnose
from cerebench.errors import MethodError, UsageError
from cerebench.manifest import read_cells
from cerebench.store import Store


def toy():
    from cerebench.plugins.registry import Registry

    return Registry.discover([]).load_method("toy-good")


def stored(world, **identity):
    """Per-case voxel values of all finished cells with this identity."""
    cells = [cell for cell in read_cells(Store(world.results)) if cell.status == "ok"]
    mine = [cell for cell in cells if all(cell.identity[name] == value for name, value in identity.items())]
    tables = [pd.read_parquet(world.results / cell.path / "cases.parquet") for cell in mine]
    rows = pd.concat(tables)
    return rows[(rows["level"] == "voxel") & (rows["post"] == "raw")].groupby("metric")["value"].sum()


def test_the_figures_are_those_of_the_stored_rows(run, complain, world):
    run("toy-good", preset="nightly")

    report = diagnose(complain()).content

    findings = {item["name"]: item for item in report["findings"]}
    sums = stored(world, cohort="toy-healthy")
    rate = sums["fp"] / (sums["fp"] + sums["tn"])
    found = findings["false positives in normal regions of healthy subjects"]
    assert found["value"] == pytest.approx(rate)
    assert found["triggered"] == (rate > found["threshold"])
    assert {(item["cohort"], item["modality"], item["status"]) for item in report["columns"]} == {
        (cohort, modality, "ok") for cohort in ("toy-healthy", "toy-lesion") for modality in ("t1", "t2")
    }
    sums = stored(world, cohort="toy-lesion")
    missed = findings["low sensitivity to lesions"]
    assert missed["value"] == pytest.approx(sums["tp_at_5fpr"] / (sums["tp"] + sums["fn"]))
    # toy-good learns nothing: no centre was trained on
    assert findings["more false positives on new centres"]["triggered"] is None
    assert {item["by"] for item in report["findings"]} == {"harness"}


def test_only_a_named_cohort_is_computed(complain, world):
    with pytest.raises(UsageError, match="holds no finished result of toy-good: run it first, or name a cohort"):
        diagnose(complain())

    report = diagnose(complain(cohorts=("toy-lesion",), modality="t2")).content

    done = [cell for cell in read_cells(Store(world.results)) if cell.status == "ok"]
    assert [(cell.identity["cohort"], cell.identity["modality"]) for cell in done] == [("toy-lesion", "t2")]
    assert [(item["cohort"], item["modality"]) for item in report["columns"]] == [("toy-lesion", "t2")]


def test_the_method_is_asked_with_unlabelled_scans_of_each_column(run, complain, tmp_path, monkeypatch):
    run("toy-good", preset="nightly")
    seen = {}

    def own(self, context):
        seen[tuple(context.tested)] = [volume for volumes in context.tested.values() for volume in volumes]
        seen["held out"] = len(context.held_out)
        planes = np.ones((1, 4, 4))
        return Diagnosis(
            (Figure("spread", 0.25, "mm", "of something"),),
            (Finding("too wide", "spread", 0.25, 0.1),),
            {"planes": Panels({"image": planes}, ("one",), (1, 1)), "dots": Scatter({"g": planes[0, :, :2]})},
        )

    monkeypatch.setattr(toy(), "diagnose", own)
    report = diagnose(complain(), tmp_path / "out")

    # no centre in these cards; one artefact a modality
    assert set(seen) == {("toy-healthy t1", "toy-lesion t1"), ("toy-healthy t2", "toy-lesion t2"), "held out"}
    assert seen["held out"] > 0
    volumes = seen["toy-healthy t1", "toy-lesion t1"]
    assert len(volumes) == 3  # one healthy subject is tested, and two of many patients are delivered
    assert all(volume.lesion_mask is None and volume.label is None for volume in volumes)
    mine = [item for item in report.content["findings"] if item["by"] == "method"]
    assert [(item["part"], item["name"], item["triggered"]) for item in mine] == [
        ("t1", "too wide", True),
        ("t2", "too wide", True),
    ]
    names = sorted(path.name for path in report.files)
    assert names[0] == "diagnosis.json"
    assert len(names) == 5
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name == "toy-good_toy-transfer_nightly_seed0"
    assert json.loads((folder / "diagnosis.json").read_text()) == json.loads(json.dumps(report.content))


def test_a_diagnosis_that_breaks_the_contract_is_named(run, complain, monkeypatch):
    run("toy-good", preset="nightly")
    monkeypatch.setattr(toy(), "diagnose", lambda self, context: {"spread": 1})
    with pytest.raises(MethodError, match="'toy-good': diagnose returned dict"):
        diagnose(complain(modality="t1"))


def test_nothing_is_overwritten_without_force(run, complain, tmp_path):
    run("toy-good", preset="nightly")
    first = diagnose(complain(), tmp_path)
    with pytest.raises(UsageError, match="is there already; use --force"):
        diagnose(complain(), tmp_path)
    before = [path.read_bytes() for path in first.files]
    assert [path.read_bytes() for path in diagnose(complain(), tmp_path, force=True).files] == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"method": "toy-god"}, "did you mean 'toy-good'"),
        ({"cohorts": ("toy-lesio",)}, "did you mean 'toy-lesion'"),
        ({"variant": "power=3", "cohorts": ("toy-lesion",), "method": "toy-good[power=1]"}, "give them once"),
        ({"modality": "t3", "cohorts": ("toy-lesion",)}, "nothing of toy-good can be diagnosed under protocol"),
        ({"seed": -1}, "--seed -1: expected 0 or more"),
    ],
)
def test_mistakes_are_one_sentence(complain, more, words):
    with pytest.raises(UsageError, match=words):
        diagnose(complain(**more))


def test_the_command_prints_findings_and_json(run, complain, world, capsys):
    from cerebench.cli.main import main

    run("toy-good", preset="nightly")
    places = ["--results", str(world.results), "--data-root", str(world.data), "--cards", str(world.cards)]
    words = ["diagnose", "toy-good", *places, "--device", "cpu"]
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            main([*words, *more])
        assert ended.value.code == 0
        out = capsys.readouterr().out
        if more:
            assert {item["name"] for item in json.loads(out)["findings"]} >= {"low sensitivity to lesions"}
        else:
            assert "low sensitivity to lesions" in out
