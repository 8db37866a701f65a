"""Keys change with everything a result depends on, and with nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cerebench.contract.info import Stage
from cerebench.plan import keys
from cerebench.plan.cells import CaseRef, Job
from cerebench.plan.keys import data_fingerprint, scored_fingerprint, short, stage_key
from cerebench.protocol import Preset

KINDS = ("stages", "references", "evaluations")


def changed(before, after) -> set[str]:
    """Kinds of cells of which none is left."""
    return {kind for kind in KINDS if not before[kind] & after[kind]}


def kept(before, after) -> set[str]:
    return {kind for kind in KINDS if before[kind] == after[kind]}


@pytest.fixture
def compare(plan, paths, learner, world):
    """Paths before and after a change."""

    def run(change=lambda: None, first=None, second=None, **more):
        before = paths(plan(first or learner()).jobs)
        change()
        return before, paths(plan(second or first or learner(), **more).jobs)

    return run


def test_an_equal_plan_has_equal_keys(compare):
    assert kept(*compare()) == set(KINDS)


def test_setting_and_code_change_everything(compare, learner):
    assert changed(*compare(overrides={"width": 9})) == set(KINDS)
    assert changed(*compare(first=learner(), second=learner(code="v2"))) == set(KINDS)


def test_a_stage_depends_on_its_own_settings_only(compare, learner):
    method = learner(stages=(Stage(name="fit", settings=("width",)),))
    before, after = compare(first=method, overrides={"power": 3.0})
    assert kept(before, after) == {"stages"}
    assert changed(before, after) == {"references", "evaluations"}
    assert "stages" in changed(*compare(first=method, overrides={"width": 3}))


def test_training_data_change_everything(compare, world):
    def edit():
        world.contents["normals/train0"] = "other voxels"

    assert changed(*compare(edit)) == set(KINDS)


def test_healthy_validation_data_are_training_data_too(compare, world):
    def edit():
        world.contents["normals/validation0"] = "other voxels"

    assert changed(*compare(edit)) == set(KINDS)


def test_validation_data_change_references_and_evaluations(compare, world):
    def edit():
        world.contents["tumours/validation0"] = "other voxels"

    before, after = compare(edit)
    assert kept(before, after) == {"stages"}
    assert changed(before, after) == {"references", "evaluations"}


def test_test_data_change_their_own_column_only(compare, world):
    def edit():
        world.contents["tumours/test0"] = "other voxels"

    before, after = compare(edit)
    assert kept(before, after) == {"stages", "references"}
    assert {path.split("/")[3] for path in after["evaluations"] - before["evaluations"]} == {"tumours-t1", "tumours-t2"}


def test_time_limits_batch_size_and_intervals_change_nothing(compare, protocol):
    preset = Preset.model_validate(
        {
            "spacing_mm": 8,
            "iterative_columns": 2,
            "timeout_s": 7,
            "train_timeout_s": 8,
            "slice_batch": 1,
            "bootstrap": {"resamples": 200},
        }
    )
    assert kept(*compare(presets={"quick": preset})) == set(KINDS)


def test_precision_changes_everything(compare):
    preset = Preset.model_validate({"spacing_mm": 8, "precision": "bf16-mixed"})
    assert changed(*compare(presets={"quick": preset})) == set(KINDS)


def test_precision_changes_what_an_untrained_method_predicts(compare, learner):
    preset = Preset.model_validate({"spacing_mm": 8, "precision": "bf16-mixed"})
    untrained = learner(supervision="none", stages=())
    assert {"references", "evaluations"} <= changed(*compare(first=untrained, presets={"quick": preset}))


def test_protocol_version_moves_evaluations_but_shares_artefacts(compare):
    before, after = compare(version=2)
    assert kept(before, after) == {"stages", "references"}
    assert changed(before, after) == {"evaluations"}
    assert all(path.startswith("runs/p@2/") for path in after["evaluations"])


def test_seeds_reach_seeded_stages_only(plan, paths, learner):
    staged = (Stage(name="pretrain", seeded=False), Stage(name="fit"))
    found = plan(learner(stages=staged), seeds=3, cohorts=["tumours"]).jobs
    names = [path.split("/")[1] for path in sorted(paths(found)["stages"])]
    assert (names.count("pretrain"), names.count("fit")) == (2, 6)  # two modalities
    assert len(paths(found)["evaluations"]) == 6
    assert {cell.seed for job in found for cell in job.stages if cell.name == "pretrain"} == {0}


def test_a_parents_change_reaches_its_children(plan, paths, learner):
    staged = (Stage(name="pretrain", settings=("width",)), Stage(name="fit", settings=("power",)))
    method = learner(stages=staged)
    before, after = paths(plan(method).jobs), paths(plan(method, overrides={"width": 3}).jobs)
    assert not before["stages"] & after["stages"]
    parents = {cell.parent for job in plan(method).jobs for cell in job.stages if cell.name == "fit"}
    assert parents == {path for path in before["stages"] if "/pretrain/" in path}


def ref(name: str = "a", **more) -> CaseRef:
    return CaseRef(name, f"c/{name}", "folder", f"key-{name}", ("t1",), False, **more)


def key(cls, stage: Stage, *cases: CaseRef, **more) -> str:
    values = {"parent": None, "modalities": ("t1",), "grid": {"shape": [8, 8, 8]}, "seed": 0, "precision": "32-true"}
    settings = cls.settings_for("quick")
    return stage_key(cls, settings, stage, train=cases, validation=(), **{**values, **more})


def test_labels_enter_the_key_of_labelled_stages_only(learner, monkeypatch):
    monkeypatch.setattr(keys, "code_digest", lambda target: "code")
    method = learner(task="lesion-classification", supervision="labels", unit="lesion")
    labelled, healthy = Stage(name="fit", data="labelled"), Stage(name="fit")
    assert key(method, labelled, ref(label=0)) != key(method, labelled, ref(label=1))
    assert key(method, healthy, ref(label=0)) == key(method, healthy, ref(label=1))


def test_covariates_enter_the_key_of_methods_that_are_given_them(learner, monkeypatch):
    monkeypatch.setattr(keys, "code_digest", lambda target: "code")
    info = {"task": "lesion-classification", "supervision": "labels", "unit": "lesion"}
    given, not_given = learner(inputs=frozenset({"covariates"}), **info), learner(**info)
    stage = Stage(name="fit", data="labelled")
    young, old = ref(covariates={"age": 20.0}), ref(covariates={"age": 80.0})
    assert key(given, stage, young) != key(given, stage, old)
    assert key(not_given, stage, young) == key(not_given, stage, old)
    assert scored_fingerprint([young], covariates=True) != scored_fingerprint([old], covariates=True)
    assert scored_fingerprint([young]) == scored_fingerprint([old])


def test_corrected_covariates_are_evaluated_again(plan, paths, learner, world):
    world.add("necrosis", False, ("t1",), tasks=("lesion-classification",))
    info = {"task": "lesion-classification", "supervision": "labels", "unit": "lesion"}
    stages = (Stage(name="fit", data="labelled"),)
    method = learner(inputs=frozenset({"lesion-mask", "covariates"}), stages=stages, **info)
    options = {"task": info["task"], "train": {"sources": {"labelled": ["necrosis"]}}, "cohorts": ["necrosis"]}
    options |= {"select": {"lesion": ["necrosis"]}}
    before = paths(plan(method, **options).jobs)
    world.more["necrosis/test0"] = {"covariates": {"age": 61.0}}
    after = paths(plan(method, **options).jobs)
    assert kept(before, after) == {"stages", "references"}
    assert changed(before, after) == {"evaluations"}
    smaller = Preset.model_validate({"spacing_mm": 8, "lesion_crop_mm": 32})
    assert changed(after, paths(plan(method, presets={"quick": smaller}, **options).jobs)) == set(KINDS)


def test_what_scores_are_held_against_is_in_the_fingerprint():
    plain = scored_fingerprint([ref()])
    for change in ({"healthy": True}, {"label": 1}, {"erosion_mm": 2.0}, {"patient": "c/x"}, {"centre": "B"}):
        assert scored_fingerprint([replace(ref(), **change)]) != plain
    assert scored_fingerprint([replace(ref(), folder="elsewhere")]) == plain
    assert data_fingerprint([ref("a"), ref("b")]) != data_fingerprint([ref("b"), ref("a")])


def test_jobs_survive_json(plan, learner):
    staged = (Stage(name="fit", keeps=("encoder",)),)
    for job in plan(learner(stages=staged), learner("other", supervision="none", stages=()), seeds=2).jobs:
        assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_short_keys_are_prefixes():
    assert short("0123456789abcdef") == "01234567"
