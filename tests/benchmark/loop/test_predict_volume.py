"""Prediction of one case: batches of slices, back-off, derived scores, and every breach of the contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cerebench.contract.info import MethodInfo
from cerebench.contract.method import Method, PredictContext, Prediction
from cerebench.errors import MethodError
from cerebench.loop.predict import BatchBackoff, predict_volume

CPU = torch.device("cpu")


def case(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    grid = np.stack(np.meshgrid(*(np.linspace(-1.25, 1.25, side) for side in (12, 10, 9)), indexing="ij"))
    brain = torch.from_numpy((grid**2).sum(0) < 0.95)
    image = torch.rand(2, 12, 10, 9, generator=torch.Generator().manual_seed(seed)) * brain
    return image, brain


def method(predict: Any, **info: Any) -> Method:
    class Written(Method):
        pass

    Written.info = MethodInfo(name="written", summary="x", **{"unit": "slice", **info})
    Written.predict = lambda self, images, context: predict(images, context)
    return Written(Written.Settings())


def run(subject: Method, image: torch.Tensor, brain: torch.Tensor, batch: BatchBackoff | None = None) -> Any:
    return predict_volume(
        subject, image, brain, spacing=(2.0, 2.0, 2.0), modalities=("t1", "t2"), device=CPU, seed=7, batch=batch
    )


def weighted(images: torch.Tensor, context: PredictContext) -> Prediction:
    return Prediction(maps=images[:, 0] + 2 * images[:, 1])


@pytest.mark.parametrize("size", [1, 2, 4, 64])
def test_slice_batches_of_any_size_give_the_map_of_the_whole_volume(size):
    image, brain = case()
    found = run(method(weighted), image, brain, BatchBackoff(size))
    assert torch.equal(found.map * brain, image[0] + 2 * image[1])


def test_slices_come_in_order_with_their_own_brain_and_only_where_there_is_brain():
    image, brain = case()
    seen: list[torch.Tensor] = []

    def predict(images: torch.Tensor, context: PredictContext) -> Prediction:
        assert images.is_contiguous()
        assert (context.spacing, context.modalities, context.seed) == ((2.0, 2.0), ("t1", "t2"), 7)
        assert context.lesion_mask is None
        assert context.covariates is None
        assert torch.equal(context.brain, context.brain & (images[:, 0] > 0))
        seen.extend(images)
        return Prediction(maps=images[:, 0])

    run(method(predict), image, brain, BatchBackoff(3))
    wanted = [k for k in range(9) if brain[..., k].any()]
    assert 0 < len(wanted) < 9
    assert len(seen) == len(wanted)
    assert all(torch.equal(images, image[..., k]) for images, k in zip(seen, wanted, strict=True))


@pytest.mark.parametrize(
    "error", [RuntimeError("DefaultCPUAllocator: not enough memory"), MemoryError(), torch.OutOfMemoryError("CUDA")]
)
def test_out_of_memory_halves_the_batch_once_and_for_all(error):
    image, brain = case()
    sizes: list[int] = []

    def predict(images: torch.Tensor, context: PredictContext) -> Prediction:
        sizes.append(len(images))
        if len(images) > 2:
            raise error
        return weighted(images, context)

    batch = BatchBackoff(8)
    first = run(method(predict), image, brain, batch)
    assert torch.equal(first.map * brain, image[0] + 2 * image[1])
    assert (batch.size, batch.reductions) == (2, 2)
    assert max(sizes[2:]) == 2
    sizes.clear()
    run(method(predict), image, brain, batch)
    assert max(sizes) == 2
    assert batch.reductions == 2


def test_out_of_memory_with_one_slice_and_other_errors_are_raised():
    image, brain = case()

    def exhausted(images: torch.Tensor, context: PredictContext) -> Prediction:
        raise RuntimeError("not enough memory")

    def buggy(images: torch.Tensor, context: PredictContext) -> Prediction:
        raise RuntimeError("size mismatch")

    with pytest.raises(RuntimeError, match="not enough memory"):
        run(method(exhausted), image, brain, BatchBackoff(4))
    batch = BatchBackoff(4)
    with pytest.raises(RuntimeError, match="size mismatch"):
        run(method(buggy), image, brain, batch)
    assert batch.size == 4


def top_mean(values: np.ndarray) -> float:
    count = max(1, round(0.01 * values.size))
    return float(np.sort(values.astype(np.float64))[::-1][:count].mean())


@pytest.mark.parametrize("unit", ["slice", "volume"])
def test_derived_scores_are_means_of_the_top_percent_inside_the_brain(unit):
    generator = torch.Generator().manual_seed(1)
    brain = torch.zeros(30, 30, 5, dtype=torch.bool)
    brain[3:28, 2:29, 1:4] = True  # 675 voxels a slice: seven of them are one percent
    brain[15:, :, 3] = False
    image = torch.randn(1, 30, 30, 5, generator=generator)
    found = predict_volume(
        method(lambda images, context: Prediction(maps=images[:, 0]), unit=unit),
        image,
        brain,
        spacing=(1.0, 1.0, 1.0),
        modalities=("t1",),
        device=CPU,
    )
    values, inside = image[0].numpy(), brain.numpy()
    assert found.score == pytest.approx(top_mean(values[inside]))
    for k in range(5):
        if k in (0, 4):
            assert torch.isnan(found.slice_scores[k])
        else:
            assert float(found.slice_scores[k]) == pytest.approx(top_mean(values[..., k][inside[..., k]]), rel=1e-6)


def test_scores_of_a_volume_method_pass_through():
    image, brain = case()
    given = Prediction(maps=image[None, 0], scores=torch.tensor([42.5]))
    found = run(method(lambda images, context: given, unit="volume"), image, brain)
    assert found.score == 42.5
    assert torch.equal(found.map, image[0])
    alone = run(method(lambda images, context: Prediction(scores=torch.tensor([1.5])), unit="volume"), image, brain)
    assert (alone.map, alone.score, alone.slice_scores) == (None, 1.5, None)


def test_scores_of_a_slice_method_pass_through_and_the_case_takes_the_highest():
    image, brain = case()
    found = run(
        method(lambda images, context: Prediction(scores=images.flatten(1).sum(1))), image, brain, BatchBackoff(2)
    )
    totals = image.flatten(0, 2).sum(0)
    inside = brain.flatten(0, 1).any(0)
    assert found.map is None
    assert torch.allclose(found.slice_scores[inside], totals[inside])
    assert torch.isnan(found.slice_scores[~inside]).all()
    assert found.score == pytest.approx(float(totals[inside].max()))


def inconsistent(images: torch.Tensor, context: PredictContext) -> Prediction:
    first = len(images) == 3
    return Prediction(maps=images[:, 0] if first else None, scores=None if first else images.flatten(1).sum(1))


@pytest.mark.parametrize(
    ("predict", "words"),
    [
        (lambda images, context: images, "predict returned Tensor, expected a Prediction"),
        (lambda images, context: Prediction(), "neither maps nor scores"),
        (lambda images, context: Prediction(maps=images[:, 0].numpy()), "maps are ndarray, expected a torch.Tensor"),
        (lambda images, context: Prediction(maps=images), r"maps have shape \(3, 2, 12, 10\), expected \(3, 12, 10\)"),
        (lambda images, context: Prediction(scores=torch.zeros(1)), r"scores have shape \(1,\), expected \(3,\)"),
        (lambda images, context: Prediction(maps=images[:, 0].to("meta")), "maps are on meta, expected cpu"),
        (lambda images, context: Prediction(maps=images[:, 0] / 0), "maps hold NaN or infinite values"),
        (lambda images, context: Prediction(scores=torch.full((3,), torch.inf)), "scores hold NaN or infinite"),
        (inconsistent, "maps or scores for some batches only"),
    ],
)
def test_breaches_of_the_contract_are_named(predict, words):
    image, brain = case()
    with pytest.raises(MethodError, match=words) as caught:
        run(method(predict), image, brain, BatchBackoff(3))
    assert "'written'" in str(caught.value)


def test_lesion_classifiers_owe_probabilities():
    image, brain = case()
    info = {"task": "lesion-classification", "unit": "lesion"}
    with pytest.raises(MethodError, match=r"scores span \[1.5, 1.5\], expected probabilities"):
        run(method(lambda images, context: Prediction(scores=torch.tensor([1.5])), **info), image, brain)
    with pytest.raises(MethodError, match="returned no scores"):
        run(method(lambda images, context: Prediction(maps=images[:, 0]), **info), image, brain)
    fine = run(method(lambda images, context: Prediction(scores=torch.tensor([0.25])), **info), image, brain)
    assert fine.score == 0.25


@pytest.mark.parametrize("unit", ["slice", "volume"])
def test_empty_brain_is_an_error_and_not_a_number(unit):
    image, brain = case()
    with pytest.raises(MethodError, match="brain mask of the case is empty"):
        run(method(lambda images, context: Prediction(maps=images[:, 0]), unit=unit), image, brain & False)


def of_slices(values: torch.Tensor | None) -> Any:
    return lambda images, context: Prediction(maps=images[:, 0], slice_scores=values)


def test_a_method_of_volumes_may_score_slices_by_its_own_rule():
    image, brain = case()
    inside = brain.any(0).any(0)
    assert 0 < int(inside.sum()) < 9
    values = torch.arange(9.0)[None].where(inside, torch.inf)
    found = run(method(of_slices(values), unit="volume"), image, brain)
    assert torch.equal(found.slice_scores[inside], torch.arange(9.0)[inside])
    assert bool(found.slice_scores[~inside].isnan().all())
    assert found.map is not None
    alone = run(
        method(lambda images, context: Prediction(scores=torch.ones(1), slice_scores=values), unit="volume"),
        image,
        brain,
    )
    assert (alone.map, alone.score) == (None, 1.0)
    assert torch.equal(alone.slice_scores[inside], torch.arange(9.0)[inside])


@pytest.mark.parametrize(
    ("values", "unit", "says"),
    [
        (torch.ones(1, 8), "volume", r"slice_scores have shape \(1, 8\), expected \(1, 9\)"),
        (torch.full((1, 9), torch.nan), "volume", "NaN or infinite values for slices with brain"),
        (torch.ones(1, 9), "slice", "slice_scores are for whole volumes"),
    ],
)
def test_wrong_slice_scores_are_refused(values, unit, says):
    image, brain = case()
    with pytest.raises(MethodError, match=says):
        run(method(of_slices(values), unit=unit), image, brain)
