"""Reverse distillation (Deng and Li 2022): a student restores the teacher's features from a one-class code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from cerebench.api import FitRun, MethodInfo, PredictContext, Prediction, SliceTraining, Stage, Volumes
from cerebench_methods.features.method import FeatureMethod
from cerebench_methods.features.settings import (
    ENCODER_ASSUMPTIONS,
    ENCODER_MOCK,
    ENCODER_NIGHTLY,
    ENCODER_PAPER,
    ENCODER_QUICK,
    PRETRAIN,
)

if TYPE_CHECKING:
    from torch import Tensor


class ReverseDistillation(FeatureMethod):
    """Teacher: the frozen encoder. Student: bottleneck and decoder, trained on healthy slices alone."""

    info = MethodInfo(
        name="reverse-distillation",
        summary="A decoder restores the features of a frozen encoder from a one-class code; cosine distance.",
        supervision="healthy",
        unit="slice",
        stages=(PRETRAIN, Stage(name="fit")),
        citation="Deng H, Li X. Anomaly detection via reverse distillation from one-class embedding. CVPR 2022.",
        reimplementation=True,
        assumptions=(
            *ENCODER_ASSUMPTIONS,
            "The student decoder has two residual blocks a level (MONAI) after a transposed convolution, whichever "
            "encoder it mirrors.",
            "The loss is the mean cosine distance over positions, as the paper writes it; the published code compares "
            "whole flattened levels.",
            "AdamW with one cycle instead of Adam with a constant rate.",
            "The Gaussian that smooths maps is given in mm; the paper's 4 pixels are about as many mm in a brain.",
        ),
    )

    class Settings(FeatureMethod.Settings, SliceTraining):
        """Training of the student.

        Attributes:
            smooth_mm: standard deviation of the Gaussian that smooths maps.
        """

        batch_size: int = Field(16, ge=1)
        learning_rate: float = Field(5e-3, gt=0)
        smooth_mm: float = Field(4.0, ge=0)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {**ENCODER_MOCK, "steps": 30, "batch_size": 8},
        "quick": {**ENCODER_QUICK, "steps": 40},
        "nightly": {**ENCODER_NIGHTLY, "steps": 110},
        "standard": {},
        "paper": {**ENCODER_PAPER, "encoder": "wide_resnet50_2"},
    }
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"random-encoder": {"weights": "random"}}

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create teacher and student."""
        from cerebench_methods.baselines.reverse_distillation_student import Student

        super().build(modalities, shape, spacing)
        self.student: Any = Student(self.encoder.channels[1:])

    def distances(self, slices: Tensor) -> list[Tensor]:
        """Cosine distance between teacher and student at levels 1 to 3 of slices ``[B, C, D, H]``, ``[B, h, w]``."""
        from cerebench_methods.baselines.reverse_distillation_student import cosine_distance

        taught = self.levels(slices)[1:]
        learnt = self.student(taught)
        return [cosine_distance(one, other) for one, other in zip(taught, learnt, strict=True)]

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Train the student on healthy slices; the weights with the lowest validation loss are kept."""
        import torch

        from cerebench.training.slicewise import train_on_slices

        def loss(batch: Tensor) -> Tensor:
            return torch.stack([distance.mean() for distance in self.distances(batch)]).sum()

        train_on_slices(run, self.student, loss, train, validation, self.settings)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Sum of the levels' distances at the slices' size, ``[B, D, H]``."""
        from cerebench_methods.features.maps import to_slices

        self.student.eval()
        shape = images.shape[2:]
        total = sum(to_slices(grid, shape, context.spacing, 0) for grid in self.distances(images))
        maps = to_slices(total, shape, context.spacing, self.settings.smooth_mm)  # type: ignore[arg-type]
        return Prediction(maps=maps * context.brain)
