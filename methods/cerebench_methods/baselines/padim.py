"""PaDiM (Defard et al. 2021): a Gaussian of features at every position; the score is the Mahalanobis distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from cerebench.api import FitRun, MethodInfo, PredictContext, Prediction, Stage, Volumes
from cerebench_methods.features.method import FeatureMethod, check_layers
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


class Padim(FeatureMethod):
    """Patch distribution modelling on a random subset of an encoder's channels."""

    info = MethodInfo(
        name="padim",
        summary="Gaussian of encoder features at every position of a slice; the score is the Mahalanobis distance.",
        supervision="healthy",
        unit="slice",
        stages=(PRETRAIN, Stage(name="fit")),
        citation=(
            "Defard T, Setkov A, Loesch A, Audigier R. PaDiM: a patch distribution modeling framework for anomaly "
            "detection and localization. ICPR Workshops 2020, LNCS 12664, 2021."
        ),
        reimplementation=True,
        assumptions=(
            *ENCODER_ASSUMPTIONS,
            "The paper adds 0.01 to the diagonal of every covariance; features of other encoders have other scales, "
            "so shrinkage is a share of the mean variance of all positions and channels.",
            "The Gaussian that smooths maps is given in mm; the paper's 4 pixels are about as many mm in a brain.",
        ),
    )

    class Settings(FeatureMethod.Settings):
        """Features and their Gaussians.

        Attributes:
            layers: levels of the encoder (0 to 3) that are stacked, at the size of the first.
            features: channels that are kept, drawn at random; all of them if there are fewer.
            shrinkage: added to the diagonal of every covariance, in units of the mean variance.
            smooth_mm: standard deviation of the Gaussian that smooths maps.
        """

        layers: tuple[int, ...] = (1, 2, 3)
        features: int = Field(100, ge=1)
        shrinkage: float = Field(0.1, gt=0)
        smooth_mm: float = Field(4.0, ge=0)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {**ENCODER_MOCK, "features": 16},
        "quick": {**ENCODER_QUICK, "features": 50},
        "nightly": {**ENCODER_NIGHTLY, "features": 80},
        "standard": {},
        "paper": {**ENCODER_PAPER, "encoder": "wide_resnet50_2", "features": 550},
    }
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"random-encoder": {"weights": "random"}}

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the encoder, draw the channels and make room for the Gaussians."""
        import torch

        super().build(modalities, shape, spacing)
        layers = check_layers(self.settings.layers)
        channels = sum(self.encoder.channels[layer] for layer in layers)
        kept = min(self.settings.features, channels)
        height, width = self.encoder.grid(layers[0])
        self.chosen = torch.randperm(channels)[:kept].sort().values
        self.mean = torch.zeros(height * width, kept)
        self.whitener = torch.eye(kept).repeat(height * width, 1, 1)

    def embed(self, slices: Tensor) -> Tensor:
        """Chosen features of slices ``[B, C, D, H]`` at every position, ``[P, B, F]``; P counts rows of the grid."""
        import torch
        from torch.nn.functional import interpolate

        layers = self.settings.layers
        levels = self.levels(slices)
        size = levels[layers[0]].shape[2:]
        stacked = torch.cat([interpolate(levels[layer], size, mode="nearest") for layer in layers], 1)
        return stacked[:, self.chosen.to(stacked.device)].flatten(2).permute(2, 0, 1).float()

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Mean and covariance of the healthy features at every position, in one pass."""
        from cerebench_methods.baselines.padim_gaussians import RunningGaussians

        gaussians = RunningGaussians()
        for batch in self.batches(train, run):
            gaussians.add(self.embed(batch))
        self.mean, self.whitener = gaussians.whitened(self.settings.shrinkage)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Mahalanobis distance at every position, brought to the slices' size, ``[B, D, H]``."""
        from cerebench_methods.baselines.padim_gaussians import mahalanobis
        from cerebench_methods.features.maps import to_slices

        distances = mahalanobis(self.embed(images), self.mean, self.whitener)
        grids = distances.T.reshape(len(images), *self.encoder.grid(self.settings.layers[0]))
        maps = to_slices(grids, images.shape[2:], context.spacing, self.settings.smooth_mm)
        return Prediction(maps=maps * context.brain)
