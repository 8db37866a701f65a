"""Which cells a plan holds: grouping by artefact, fallbacks, and a reason for everything left out."""

from __future__ import annotations

import pytest

from cerebench.contract.info import Stage


def columns(jobs) -> list[list[str]]:
    return [[f"{cell.identity.cohort} {cell.identity.modality}" for cell in job.evaluations] for job in jobs]


def reasons(plan) -> dict[str, str]:
    return {
        f"{item.identity.method}{item.identity.variant} {item.identity.cohort} {item.identity.modality}": item.reason
        for item in plan.skipped
    }


def test_one_artefact_a_modality(plan, learner):
    found = plan(learner())
    assert columns(found.jobs) == [["normals t1", "tumours t1"], ["normals t2", "tumours t2"]]
    assert [job.modalities for job in found.jobs] == [("t1",), ("t2",)]
    assert [{ref.modalities for ref in job.stages[0].train} for job in found.jobs] == [{("t1",)}, {("t2",)}]
    assert found.skipped == []


def test_joint_training_sees_every_modality_one_at_a_time(plan, learner):
    (job,) = plan(learner(training="joint")).jobs
    assert job.modalities == ("t1", "t2")
    assert sorted(ref.modalities for ref in job.stages[0].train) == [("t1",)] * 4 + [("t2",)] * 4
    assert columns([job]) == [["normals t1", "normals t2", "tumours t1", "tumours t2"]]
    assert job.evaluations[0].identity.training_source == "normals healthy subjects (real), t1+t2 jointly"


def test_a_methods_remark_is_part_of_the_training_source(plan, learner, monkeypatch):
    cls = learner()
    monkeypatch.setattr(cls, "remark", classmethod(lambda cls, settings: "weights from elsewhere"))
    sources = {cell.identity.training_source for job in plan(cls).jobs for cell in job.evaluations}
    assert sources == {"normals healthy subjects (real); weights from elsewhere"}


def test_paired_training_sees_all_modalities_as_channels(plan, learner):
    (job,) = plan(learner(training="paired")).jobs
    assert {ref.modalities for ref in job.stages[0].train} == {("t1", "t2")}
    assert len(job.stages[0].train) == 4
    assert {ref.modalities for cell in job.evaluations for ref in cell.cases} == {("t1",), ("t2",)}


def test_training_validation_and_test_cases_are_disjoint_patients(plan, learner):
    for job in plan(learner()).jobs:
        stage = job.stages[0]
        tested = {ref.patient for cell in job.evaluations for ref in cell.cases}
        assert not {ref.patient for ref in (*stage.train, *stage.validation)} & tested
        for reference in job.references:
            assert not {ref.patient for ref in (*reference.lesion, *reference.healthy)} & tested
            assert {ref.id for ref in reference.controls} == {"test0", "test1", "test2"}


def test_iterative_methods_run_on_fewer_columns_and_say_so(plan, learner):
    method = learner(cost="iterative")
    found = plan(method)
    assert {column for group in columns(found.jobs) for column in group} == {"tumours t1", "tumours t2"}
    assert set(reasons(found).values()) == {"skipped: cost (iterative methods run on fewer columns at this preset)"}
    assert len(found.skipped) == 2
    assert not any(item.failed for item in found.skipped)
    assert plan(method, preset="nightly").skipped == []


def test_a_modality_that_the_method_does_not_do_is_a_skipped_cell(plan, learner):
    found = plan(learner(modalities=frozenset({"t2"})))
    assert columns(found.jobs) == [["normals t2", "tumours t2"]]
    assert reasons(found) == {
        f"learner {cohort} t1": "learner is not meant for t1 (it does t2)" for cohort in ("normals", "tumours")
    }


def test_a_column_without_healthy_source_is_skipped(plan, learner, world):
    world.add("stroke", False, ("dwi",))
    found = plan(learner(), train={"sources": {"healthy": ["normals"]}, "fallback": "none"})
    assert reasons(found) == {"learner stroke dwi": "no healthy source of modality dwi: normals has none"}


def test_real_columns_trained_in_silico_say_so(plan, learner, world):
    world.add("stroke", False, ("flair",))
    world.add("normals", True, ("flair",), "in-silico")
    found = plan(learner(), cohorts=["stroke", "tumours"])
    (flair,) = [job for job in found.jobs if job.modalities == ("flair",)]
    (cell,) = flair.evaluations
    assert cell.identity.provenance == "real"
    assert "(in-silico): trained in silico, tested real" in cell.identity.training_source
    assert {ref.key.partition(":")[0] for ref in flair.stages[0].train} == {"in-silico"}
    assert {ref.key.partition(":")[0] for ref in cell.cases} == {"real"}
    others = [cell for job in found.jobs if job is not flair for cell in job.evaluations]
    assert all("in silico" not in cell.identity.training_source for cell in others)


def test_healthy_thresholds_from_in_silico_scans_are_noted_and_never_mixed_at_subject_level(plan, learner, world):
    world.add("lesions", False, ("flair",))
    world.add("normals", True, ("flair",), "in-silico")
    select = {"lesion": ["lesions"], "healthy": ["normals"]}
    (job,) = plan(learner(), cohorts=["lesions"], select=select).jobs
    (reference,) = job.references
    assert reference.mixed
    assert {ref.key.partition(":")[0] for ref in reference.healthy} == {"in-silico"}
    assert reference.controls == ()
    assert any("in-silico healthy validation" in note for note in job.evaluations[0].notes)


def test_test_only_layouts_never_train(plan, learner, world):
    world.cards.pop("normals")
    world.add("normals", True, ("t1", "t2"), test_only=True)
    found = plan(learner(), train={"sources": {"healthy": ["normals"]}, "fallback": "none"})
    assert found.jobs == []
    assert set(reasons(found).values()) == {
        f"no healthy source of modality {name}: layout 'flat' of normals is for testing only" for name in ("t1", "t2")
    }


ADAPT = (Stage(name="fit"), Stage(name="adapt", data="target"))


def test_adaptation_is_a_variant_of_its_own_on_the_targets_training_split(plan, learner):
    found = plan(learner(stages=ADAPT), cohorts=["tumours"], train={"sources": {"healthy": ["normals"]}, "adapt": True})
    plain, adapted = [
        [job for job in found.jobs if job.evaluations[0].identity.variant == word] for word in ("", "adapted")
    ]
    assert [[stage.name for stage in job.stages] for job in plain] == [["fit"], ["fit"]]
    for job in adapted:
        fit, adapt = job.stages
        assert adapt.parent == fit.path == plain[job.modalities == ("t2",)].stages[0].path
        assert {ref.patient for ref in adapt.train} == {f"tumours/train{k}" for k in range(4)}
        assert not adapt.with_labels
        assert "adapted on tumours (real)" in job.evaluations[0].identity.training_source


FREE = {"sources": {"healthy": ["tumours"]}, "adapt": True, "lesion_free_mm": 8}


def test_patients_are_no_healthy_source_unless_their_lesion_free_slices_are_wanted(plan, learner):
    found = plan(learner(), train={"sources": {"healthy": ["tumours"]}})
    assert found.jobs == []
    # without real sources the twin is looked for, which this world has none of
    assert len(found.skipped) == 4
    found = plan(learner(), train={"sources": {"healthy": ["tumours"]}, "fallback": "none"})
    assert all("tumours has no healthy subject" in reason for reason in reasons(found).values())
    job = plan(learner(), train={**FREE, "adapt": False}, cohorts=["tumours"]).jobs[0]
    stage = job.stages[0]
    assert len(stage.train) == 4
    assert {ref.key.rpartition(":")[2] for ref in (*stage.train, *stage.validation)} == {"free8"}
    assert job.evaluations[0].identity.training_source == "tumours lesion-free slices of patients (real)"
    assert not any(ref.key.endswith("free8") for cell in job.evaluations for ref in cell.cases)
    reference = job.references[0]
    assert not any(ref.key.endswith("free8") for ref in (*reference.lesion, *reference.healthy))


def test_a_target_with_healthy_subjects_is_adapted_on_them_and_another_on_lesion_free_slices(plan, learner, world):
    world.healthy = {f"mixed/{role}{number}" for role in ("train", "validation", "test") for number in (0, 1)}
    world.add("mixed", False, ("t1",))
    found = plan(learner(stages=ADAPT), cohorts=["tumours", "mixed"], train=FREE, test={"modalities": ["t1"]})
    adapted = {
        job.evaluations[0].identity.cohort: job
        for job in found.jobs
        if job.evaluations[0].identity.variant == "adapted"
    }
    assert {ref.id for ref in adapted["mixed"].stages[1].train} == {"train0", "train1"}
    assert {ref.key for ref in adapted["mixed"].stages[1].train} == {"real:mixed/train0:t1", "real:mixed/train1:t1"}
    assert all(ref.key.endswith("free8") for ref in adapted["tumours"].stages[1].train)
    sources = {name: job.evaluations[0].identity.training_source for name, job in adapted.items()}
    assert "adapted on mixed healthy subjects (real)" in sources["mixed"]
    assert "adapted on tumours lesion-free slices of patients (real)" in sources["tumours"]


def test_a_patient_with_lesions_everywhere_is_left_out_of_training(plan, learner, world):
    world.blank = {"tumours/train0"}
    (job,) = plan(learner(), train={**FREE, "adapt": False}, cohorts=["tumours"], test={"modalities": ["t1"]}).jobs
    assert {ref.id for ref in job.stages[0].train} == {"train1", "train2", "train3"}
    world.blank = {f"tumours/train{number}" for number in range(4)}
    found = plan(learner(), train={**FREE, "adapt": False}, cohorts=["tumours"], test={"modalities": ["t1"]})
    assert found.jobs == []
    assert "no slice is far enough from every lesion" in next(iter(reasons(found).values()))


def test_a_test_only_target_is_never_adapted_on(plan, learner, world):
    world.add("outside", False, ("t1",), test_only=True)
    train = {"sources": {"healthy": ["normals"]}, "adapt": True}
    found = plan(learner(stages=ADAPT), cohorts=["outside"], train=train)
    assert columns(found.jobs) == [["outside t1"]]
    assert reasons(found) == {"learneradapted outside t1": "layout 'flat' of outside is for testing only"}


def test_a_damaged_case_costs_its_own_column(plan, learner, world):
    world.broken.add(("tumours/test1", ("t1",)))
    found = plan(learner())
    assert columns(found.jobs) == [["normals t1"], ["normals t2", "tumours t2"]]
    (lost,) = found.skipped
    assert lost.failed
    assert lost.reason == "tumours/test1 t1 is damaged"


def test_a_damaged_training_case_costs_what_it_would_have_trained(plan, learner, world):
    world.broken.add(("normals/train1", ("t2",)))
    found = plan(learner())
    assert columns(found.jobs) == [["normals t1", "tumours t1"]]
    assert all(item.failed and "normals/train1 t2 is damaged" in item.reason for item in found.skipped)


def test_a_damaged_pair_costs_paired_methods_only(plan, learner, world):
    world.broken.add(("normals/train1", ("t1", "t2")))
    found = plan(learner(), learner("pairs", training="paired"))
    assert {job.method for job in found.jobs} == {"learner"}
    assert {item.identity.method for item in found.skipped} == {"pairs"}
    assert all(item.failed and "normals/train1 t1+t2 is damaged" in item.reason for item in found.skipped)


@pytest.mark.parametrize("training", ["joint", "paired"])
def test_artefacts_of_several_modalities_do_not_depend_on_the_selected_columns(plan, learner, world, training):
    world.cards.pop("normals")
    world.add("normals", True, ("t1", "t2", "pd"))
    (whole,) = plan(learner(training=training)).jobs
    world.broken.add(("normals/test0", ("pd",)))
    (without_pd_column,) = plan(learner(training=training)).jobs
    (one_cohort,) = plan(learner(training=training), cohorts=["tumours"]).jobs
    assert whole.modalities == ("pd", "t1", "t2")
    assert whole.stages == without_pd_column.stages == one_cohort.stages
    expected = {("pd", "t1", "t2")} if training == "paired" else {("pd",), ("t1",), ("t2",)}
    assert {ref.modalities for ref in whole.stages[0].train} == expected


def test_a_damaged_target_case_costs_the_adaptation_only(plan, learner, world):
    world.broken.add(("tumours/train0", ("t1",)))
    train = {"sources": {"healthy": ["normals"]}, "adapt": True}
    found = plan(learner(stages=ADAPT), cohorts=["tumours"], train=train)
    assert sum(len(job.evaluations) for job in found.jobs) == 3
    (lost,) = found.skipped
    assert (lost.identity.variant, lost.identity.modality, lost.failed) == ("adapted", "t1", True)


def test_undeclared_learning_from_labels_is_refused(plan, learner):
    found = plan(learner(stages=(Stage(name="fit", data="labelled"),)))
    assert found.jobs == []
    assert found.skipped
    for item in found.skipped:
        assert item.failed
        assert "learns from labels, which its info does not declare" in item.reason


def test_two_methods_with_one_shared_stage_have_one_artefact(plan, learner):
    shared = Stage(name="predict", shared_as="encoder", settings=("width",))
    first, second = (
        learner("one", stages=(shared, Stage(name="fit"))),
        learner("two", stages=(shared, Stage(name="fit"))),
    )
    jobs = plan(first, second, cohorts=["tumours"]).jobs
    assert len({job.stages[0].path for job in jobs}) == 2  # one a modality
    assert len({job.stages[1].path for job in jobs}) == 4


def test_seeds_and_shards_cover_everything_once(plan, learner):
    found = plan(learner(), seeds=3)
    assert sorted(job.seed for job in found.jobs) == [0, 0, 1, 1, 2, 2]
    parts = [found.shard(number, 4) for number in range(1, 5)]
    assert sorted(job.id for part in parts for job in part) == sorted(job.id for job in found.jobs)
