"""The conformance suite finds every planted violation, names it, and passes a method without one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cerebench.api import (
    FitRun,
    Method,
    MethodInfo,
    MethodSettings,
    PredictContext,
    Prediction,
    Stage,
    UsageError,
    Volumes,
)
from cerebench.testing import CheckResult, assert_conforms, check_method


class Good(Method):
    """Deviation of an intensity from the healthy mean, on slices."""

    info = MethodInfo(name="good", summary="Deviation from the healthy mean intensity.", unit="slice")

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        self.mean = torch.zeros(())

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        self.mean = torch.stack([slices[slices != 0].mean() for slices in train.slices()]).mean().to(run.device)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=(images[:, 0] - self.mean).abs() * context.brain)


class ChangesImages(Good):
    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        images.sub_(self.mean)
        return Prediction(maps=images[:, 0].abs() * context.brain)


class ChangesBrain(Good):
    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        prediction = super().predict(images, context)
        context.brain[:, 0] = True
        return prediction


class ChangesTraining(Good):
    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        super().fit(train, validation, run)
        train[0].image[:] = 0


class Drifts(Good):
    """Batch statistics at prediction: a case depends on those before it."""

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        super().build(modalities, shape, spacing)
        self.norm = nn.BatchNorm2d(1)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=self.norm.train()(images)[:, 0].abs() * context.brain)


class BatchDependent(Good):
    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=(images - images.mean())[:, 0].abs() * context.brain)


class WrongShape(Good):
    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=images)


class NotFinite(Good):
    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=images[:, 0] / images[:, 0])


class NotFiniteOnBlank(Good):
    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=super().predict(images, context).maps / images.amax((1, 2, 3))[:, None, None])


class Constant(Good):
    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=context.brain.float())


class Raises(Good):
    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        raise ValueError("no such luck")


class NotDeterministic(Good):
    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=torch.rand_like(images[:, 0]))


class TrainsUnseeded(Good):
    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        generator = torch.Generator()
        generator.seed()
        self.mean = torch.rand((), generator=generator)


class KeepsListOnly(Good):
    """What is learnt is no tensor: a fresh object does not have it."""

    learnt = 0.0

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        super().fit(train, validation, run)
        self.learnt = float(self.mean)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=(images[:, 0] - self.learnt).abs() * context.brain)


class MakesModuleInFit(Good):
    """The module does not exist before training, so that its tensors find no place."""

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        self.network = nn.Conv2d(1, 1, 1).to(run.device)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=self.network(images)[:, 0].abs() * context.brain)


class PeeksInTraining(Good):
    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        super().fit(train, validation, run)
        for volume in train:
            if volume.lesion_mask is not None:
                self.mean = self.mean + volume.lesion_mask.sum()


class PeeksSecretly(Good):
    """Catches what looking raises."""

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        super().fit(train, validation, run)
        try:
            self.mean = self.mean + float(train[0].label)
        except Exception:
            self.mean = self.mean * 1


class PeeksInPrediction(Good):
    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        maps = super().predict(images, context).maps
        if context.lesion_mask is not None:
            maps = maps + context.lesion_mask.float()
        return Prediction(maps=maps)


class Backwards(Good):
    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=-images[:, 0].abs() * context.brain)


class EvenSizesOnly(Good):
    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        super().build(modalities, shape, spacing)
        if any(side % 2 for side in shape):
            raise ValueError(f"sizes must be even, found {shape}")


class WrongPictures(Good):
    def explain(self, images: Tensor, context: PredictContext) -> dict[str, Tensor]:
        return {"picture": images}


class NoSuchStage(Good):
    info = MethodInfo(name="no-such-stage", summary="Lacks a stage.", stages=(Stage(name="warm_up"), Stage(name="fit")))


class NoSuchSetting(Good):
    info = MethodInfo(name="no-such-setting", summary="Lacks it.", stages=(Stage(name="fit", settings=("width",)),))


class StagesWithoutSupervision(Good):
    info = MethodInfo(name="none-but-fit", summary="Says it learns nothing.", supervision="none")


class LabelledStage(Good):
    info = MethodInfo(name="labelled-stage", summary="Asks for labels.", stages=(Stage(name="fit", data="labelled"),))


class NoPredict(Method):
    info = MethodInfo(name="no-predict", summary="Predicts nothing.", supervision="none", stages=())


class BadPreset(Good):
    class Settings(MethodSettings):
        width: int = 3

    presets = {"quick": {"width": "wide"}}


def results(cls: type[Method]) -> dict[str, CheckResult]:
    return {result.name: result for result in check_method(cls)}


def test_good_method_passes_everything() -> None:
    found = results(Good)

    assert [name for name, result in found.items() if not result.ok] == []
    skipped = {name for name, result in found.items() if result.skipped}
    assert skipped - {"GPU"} == {"manifest", "explain", "diagnose"}
    assert_conforms(Good)


@pytest.mark.parametrize(
    ("cls", "check", "detail"),
    [
        (ChangesImages, "no mutation", "changes the images"),
        (ChangesBrain, "no mutation", "changes the brain mask"),
        (ChangesTraining, "training", "'fit'.* changes the training images"),
        (Drifts, "no mutation", r"own tensor \['norm"),
        (BatchDependent, "batches", "predicted differently alone"),
        (WrongShape, "shapes", "have shape"),
        (NotFinite, "shapes", "NaN"),
        (NotFiniteOnBlank, "empty slices", "not finite"),
        (Constant, "shapes", "constant"),
        (Raises, "shapes", "ValueError: no such luck"),
        (NotDeterministic, "determinism", "two predictions"),
        (TrainsUnseeded, "determinism", "two trainings"),
        (KeepsListOnly, "save and load", "predicts something else"),
        (MakesModuleInFit, "save and load", "network"),
        (PeeksInTraining, "training", "lesion mask of a training case"),
        (PeeksSecretly, "no label access", "label of a training case"),
        (PeeksInPrediction, "no label access", "context.lesion_mask"),
        (Backwards, "better than random", "expected at least"),
        (EvenSizesOnly, "odd sizes", "sizes must be even"),
        (WrongPictures, "explain", "'picture' has shape"),
        (NoSuchStage, "info", "warm_up"),
        (NoSuchSetting, "info", "width"),
        (StagesWithoutSupervision, "info", "supervision is 'none'"),
        (LabelledStage, "info", "asks for labelled data"),
        (NoPredict, "info", "predict is not implemented"),
        (BadPreset, "settings", "preset 'quick'.*width"),
    ],
)
def test_violation_is_found_and_named(cls: type[Method], check: str, detail: str) -> None:
    import re

    found = results(cls)

    assert not found[check].ok
    assert re.search(detail, found[check].detail), found[check].detail
    with pytest.raises(AssertionError, match=check):
        assert_conforms(cls)


def test_checks_after_a_broken_foundation_are_skipped_with_the_reason() -> None:
    found = results(Raises)

    assert found["batches"].skipped
    assert "'shapes' failed" in found["batches"].detail


def test_only_methods_are_tried() -> None:
    not_a_method: Any = dict
    with pytest.raises(UsageError, match="not a class derived from"):
        check_method(not_a_method)
