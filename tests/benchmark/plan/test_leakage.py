"""Tested patients who also train are refused, by name where names tell patients apart, and by content always."""

from __future__ import annotations

import pytest

from cerebench.contract.info import Stage

PRETRAIN = Stage(name="pretrain", data="unlabelled")


@pytest.fixture
def lesions(world, plan, learner):
    """``lesions()``: the plan of a pre-trained lesion classifier over a pool, a first and a second centre."""
    tasks = ("anomaly", "lesion-classification")
    world.add("pool", False, ("t1",), roles={"train": 5})
    world.add("first", False, ("t1",), tasks=tasks)
    world.add("second", False, ("t1",), roles={"test": 3}, tasks=tasks)
    method = learner(
        task="lesion-classification",
        supervision="labels",
        unit="lesion",
        stages=(PRETRAIN, Stage(name="fit", data="labelled")),
    )

    def make(distinct: bool = True):
        return plan(
            method,
            cohorts=["first", "second"],
            task="lesion-classification",
            train={"sources": {"unlabelled": ["pool"], "labelled": ["first"]}, "distinct_patients": distinct},
            select={"lesion": ["first"]},
        )

    return make


def add_to_pool(world, patient: str) -> None:
    """Plant a training patient of the pool under a name."""
    pool = world.pools["pool", "real"]
    case = pool.listing.cases[0]
    object.__setattr__(case, "patient", patient)


def test_who_is_tested_nowhere_else_is_tested(lesions):
    found = lesions()
    assert [cell.identity.cohort for job in found.jobs for cell in job.evaluations] == ["first", "second"]
    assert found.skipped == []
    pretrain, fit = found.jobs[0].stages
    assert (pretrain.unlabelled, pretrain.with_labels) == (True, False)
    assert (fit.unlabelled, fit.with_labels) == (False, True)


@pytest.mark.parametrize("name", ["test1", "TEST1"])
def test_a_name_in_the_pool_and_among_the_tested_is_refused(lesions, world, name):
    add_to_pool(world, name)
    found = lesions()
    assert [item.identity.cohort for item in found.skipped] == ["first", "second"]
    assert all(item.failed for item in found.skipped)
    assert found.skipped[1].reason == (
        f"leakage: 1 tested patient among the unlabelled training data (pool/{name} has the name of second/test1); "
        "name the cases under `exclude` in the card of the training cohort"
    )
    assert found.jobs == []
    # elsewhere equal names are two patients, as long as their images differ
    assert lesions(distinct=False).skipped == []


def test_a_labelled_patient_of_another_cohort_is_refused_where_tested(lesions, world):
    world.add("second", False, ("t1",), roles={"test": 3, "train": 1}, tasks=("lesion-classification",))
    tested = next(case for case in world.pools["second", "real"].listing.cases if case.id == "test0")
    object.__setattr__(tested, "patient", "validation1")
    (item,) = lesions().skipped
    assert item.identity.cohort == "second"
    assert "among the labelled training data (first/validation1 has the name of second/validation1)" in item.reason


def test_a_copy_of_an_image_is_refused_under_any_name(lesions, world):
    world.images = {"pool/train0": "copy", "second/test2": "copy"}
    for distinct in (True, False):
        (item,) = lesions(distinct).skipped
        assert item.identity.cohort == "second"
        assert "(pool/train0 has an image of second/test2)" in item.reason


def test_many_copies_are_counted_and_the_first_named(lesions, world):
    world.images = {f"pool/train{number}": "copy" for number in range(5)} | {"second/test0": "copy"}
    (item,) = lesions().skipped
    assert item.reason.startswith("leakage: 5 tested patients among the unlabelled training data (pool/train0 ")
    assert "; and 2 more)" in item.reason


def test_split_shares_of_one_cohort_go_before_the_common_ones(protocol):
    splits = protocol(splits={"lesion": {"test": 1}, "cohorts": {"pool": {"train": 1}}}).splits
    assert splits.of("pool", healthy=False) == {"train": 1}
    assert splits.of("pool", healthy=True) == {"train": 1}
    assert splits.of("other", healthy=False) == {"test": 1}
    assert splits.of("other", healthy=True) == {"train": 0.6, "validation": 0.2, "test": 0.2}
    with pytest.raises(ValueError, match=r"the fractions of 'pool' add up to 0\.5, expected 1"):
        protocol(splits={"cohorts": {"pool": {"train": 0.5}}})


def test_covariates_of_a_pool_reach_nobody_and_no_key(lesions, world, learner, plan):
    def pretraining(inputs):
        method = learner(
            task="lesion-classification",
            supervision="labels",
            unit="lesion",
            inputs=frozenset(inputs),
            stages=(PRETRAIN.model_copy(update={"shared_as": "encoder"}), Stage(name="fit", data="labelled")),
        )
        sources = {"unlabelled": ["pool"], "labelled": ["first"]}
        more = {"task": "lesion-classification", "train": {"sources": sources}, "select": {"lesion": ["first"]}}
        return plan(method, cohorts=["first"], **more).jobs[0].stages

    lesions()
    world.more = {"pool/train0": {"covariates": {"age": 50.0}}, "first/train0": {"covariates": {"age": 60.0}}}
    plain, clinical = pretraining(["lesion-mask"]), pretraining(["lesion-mask", "covariates"])
    assert plain[0].path == clinical[0].path
    assert plain[1].path != clinical[1].path
