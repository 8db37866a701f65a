"""Training stages: what a method is given, what it takes over, and what a killed or failing one leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from cerebench.contract.info import MethodInfo, Stage
from cerebench.contract.method import Method
from cerebench.errors import MethodError
from cerebench.loop.artefact import WEIGHTS
from cerebench.loop.feed import prepared
from cerebench.loop.lesions import POOL_CUBES, pool_boxes
from cerebench.loop.models import new_method, trained_method
from cerebench.loop.stages import run_stage
from cerebench.loop.training_data import training_volumes, unlabelled_volumes
from cerebench.plan.cells import Job, StageCell
from cerebench.store import Store

CPU = torch.device("cpu")
FIRST, SECOND = "artefacts/pretrain/m-1", "artefacts/fit/m-1"


class TwoStages(Method):
    info = MethodInfo(
        name="two-stages", summary="x", stages=(Stage(name="pretrain", keeps=("base",)), Stage(name="fit"))
    )
    calls: list[tuple[str, Any]] = []

    def build(self, modalities, shape, spacing):
        self.built = modalities, shape, spacing
        self.base = torch.rand(1)
        self.top = torch.rand(1)

    def pretrain(self, train, validation, run):
        self.calls.append(("pretrain", run.seed))
        self.base = torch.rand(3)
        self.top = torch.full((1,), 99.0)
        run.log(1, loss=0.5)

    def fit(self, train, validation, run):
        self.calls.append(("fit", run.seed))
        self.top = self.base.sum()[None]


@pytest.fixture
def job(options, make_case):
    TwoStages.calls.clear()
    train, validation = tuple(make_case(f"t{k}", seed=k) for k in range(2)), (make_case("v"),)
    stages = (
        StageCell("pretrain", FIRST, None, 3, ("base",), False, train, validation, "x", 9),
        StageCell("fit", SECOND, FIRST, 3, None, False, train, validation, "x", 9),
    )
    arguments = ("id", "two-stages", {}, "quick", ("t1",), (12, 10, 8), (2.0, 2.0, 2.0), (), 3, options(), {"a": 1})
    return Job(*arguments, stages, (), ())


def run_all(job: Job, store: Store) -> None:
    for cell in job.stages:
        run_stage(TwoStages, job, cell, store, CPU, lambda *_: None)


def test_a_stage_starts_from_what_its_parent_keeps(job, tmp_path):
    store = Store(tmp_path / "results")
    run_all(job, store)
    assert [name for name, _ in TwoStages.calls] == ["pretrain", "fit"]
    assert TwoStages.calls[0][1] != TwoStages.calls[1][1]
    method = trained_method(TwoStages, job, SECOND, store, CPU)
    assert method.base.shape == (3,)
    assert torch.equal(method.top, method.base.sum()[None])
    assert float(method.top) != 99.0
    assert method.built == (("t1",), (12, 10, 8), (2.0, 2.0, 2.0))
    assert not (store.artefacts / ".work").exists() or not list((store.artefacts / ".work").iterdir())


def test_training_is_a_function_of_the_seed(job, tmp_path):
    stores = [Store(tmp_path / name) for name in "abc"]
    run_all(job, stores[0])
    torch.rand(5)
    run_all(job, stores[1])
    run_all(replace(job, stages=tuple(replace(cell, seed=4) for cell in job.stages)), stores[2])
    weights = [(store.path(SECOND) / WEIGHTS).read_bytes() for store in stores]
    assert weights[0] == weights[1] != weights[2]


def test_a_finished_stage_is_not_trained_again(job, tmp_path):
    store = Store(tmp_path / "results")
    run_all(job, store)
    run_all(job, store)
    assert len(TwoStages.calls) == 2


def test_a_failing_stage_leaves_no_artefact_and_keeps_its_checkpoints(job, tmp_path):
    class Fails(TwoStages):
        def pretrain(self, train, validation, run):
            (run.folder / "checkpoint").write_text("step 7")
            raise ZeroDivisionError

    store = Store(tmp_path / "results")
    with pytest.raises(ZeroDivisionError):
        run_stage(Fails, job, job.stages[0], store, CPU, lambda *_: None)
    assert store.status(FIRST) is None
    assert [path.read_text() for path in (store.artefacts / ".work").rglob("checkpoint")] == ["step 7"]


def test_a_declared_stage_without_method_is_named(job, tmp_path):
    cell = replace(job.stages[0], name="pretrian")
    with pytest.raises(MethodError, match="declares a stage 'pretrian' but has no method of that name"):
        run_stage(TwoStages, job, cell, Store(tmp_path / "results"), CPU, lambda *_: None)


def test_training_volumes_carry_no_answer(make_case):
    refs = [make_case("a", label=1, covariates={"age": 60.0}), make_case("h", healthy=True, label=0)]
    for volume in training_volumes(refs, TwoStages.info, False, 8.0):
        assert (volume.lesion_mask, volume.label, volume.covariates) == (None, None, None)
        assert volume.image.shape == (1, 12, 10, 8)
        assert not hasattr(volume, "healthy")


def test_labelled_lesion_volumes_carry_what_was_declared(make_case):
    info = MethodInfo(
        name="classifier",
        summary="x",
        task="lesion-classification",
        supervision="labels",
        unit="lesion",
        inputs=frozenset({"lesion-mask", "covariates"}),
        stages=(Stage(name="fit", data="labelled"),),
    )
    labels = np.zeros((12, 10, 8))
    labels[5:7, 4:6, 3:5] = 1
    refs = [make_case("a", labels=labels, label=1, covariates={"age": 60.0})]
    (volume,) = training_volumes(refs, info, True, 8.0)
    assert volume.image.shape == (1, 4, 4, 4)
    assert volume.brain.shape == volume.lesion_mask.shape == (4, 4, 4)
    assert (int(volume.lesion_mask.sum()), volume.label, volume.covariates) == (8, 1, {"age": 60.0})
    (unlabelled,) = training_volumes(refs, info, False, 8.0)
    assert unlabelled.label is None


CLASSIFIER = MethodInfo(
    name="classifier",
    summary="x",
    task="lesion-classification",
    supervision="labels",
    unit="lesion",
    inputs=frozenset({"lesion-mask", "covariates"}),
    stages=(Stage(name="pretrain", data="unlabelled"), Stage(name="fit", data="labelled")),
)


def test_a_pool_gives_cubes_around_its_lesions_and_in_the_brain_and_no_answer(make_case):
    labels = np.zeros((12, 10, 8))
    labels[3:5, 4:6, 3:5] = 1
    labels[8, 6, 4] = 1
    refs = [make_case("m", labels=labels, label=1, covariates={"age": 60.0}), make_case("u", labels="none", label=0)]
    cubes = list(unlabelled_volumes(refs, CLASSIFIER, 8.0))
    assert len(cubes) == 2 * POOL_CUBES
    for cube in cubes:
        assert (cube.lesion_mask, cube.label, cube.covariates) == (None, None, None)
        assert cube.image.shape == (1, 4, 4, 4)
        assert cube.brain.any()
    outlined = prepared(refs[0])
    boxes = pool_boxes(outlined.labels(), outlined.brain(), 8.0, (2.0, 2.0, 2.0), refs[0].key)
    # the larger lesion first, in the middle of its cube
    assert boxes[0] == (slice(2, 6), slice(3, 7), slice(2, 6))
    assert boxes[1] == (slice(6, 10), slice(4, 8), slice(2, 6))
    np.testing.assert_array_equal(cubes[0].image, outlined.image()[(slice(None), *boxes[0])])
    again = pool_boxes(outlined.labels(), outlined.brain(), 8.0, (2.0, 2.0, 2.0), refs[0].key)
    other = pool_boxes(outlined.labels(), outlined.brain(), 8.0, (2.0, 2.0, 2.0), "another case")
    assert again == boxes
    assert other[:2] == boxes[:2]
    assert other[2:] != boxes[2:]


def test_a_pool_for_whole_volumes_is_not_cut_and_an_empty_brain_gives_no_cube(make_case):
    ref = make_case("a", covariates={"age": 60.0}, label=1)
    (volume,) = unlabelled_volumes([ref], TwoStages.info, 8.0)
    assert volume.image.shape == (1, 12, 10, 8)
    assert pool_boxes(None, np.zeros((12, 10, 8), bool), 8.0, (2.0, 2.0, 2.0), "k") == []


def test_unlabelled_stages_get_the_pool_and_labelled_ones_the_answers(job, make_case, tmp_path):
    labels = np.zeros((12, 10, 8))
    labels[5:7, 4:6, 3:5] = 1
    ref = make_case("c", labels=labels, label=1, covariates={"age": 60.0})
    seen = {}

    class Classifier(Method):
        info = CLASSIFIER

        def build(self, modalities, shape, spacing):
            self.weight = torch.zeros(1)

        def pretrain(self, train, validation, run):
            seen["pretrain"] = list(train)

        def fit(self, train, validation, run):
            seen["fit"] = list(train)

    about = ((ref,), (), "x", 9)
    stages = (
        StageCell("pretrain", FIRST, None, 3, None, False, *about, unlabelled=True),
        StageCell("fit", SECOND, FIRST, 3, None, True, *about),
    )
    for cell in stages:
        run_stage(Classifier, job, cell, Store(tmp_path / "results"), CPU, lambda *_: None)
    assert [(cube.label, cube.covariates, cube.lesion_mask) for cube in seen["pretrain"]] == [(None,) * 3] * POOL_CUBES
    (lesion,) = seen["fit"]
    assert (lesion.label, lesion.covariates, int(lesion.lesion_mask.sum())) == (1, {"age": 60.0}, 8)


def test_a_method_that_learns_nothing_is_as_built(job, tmp_path):
    first = trained_method(TwoStages, job, None, Store(tmp_path), CPU)
    torch.rand(3)
    assert torch.equal(first.base, new_method(TwoStages, job, job.seed).base)
