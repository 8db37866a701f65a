"""Structural feature autoencoder (Meissen et al. 2022): encoder features are restored, and scored by SSIM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from cerebench.api import FitRun, MethodInfo, PredictContext, Prediction, SliceTraining, Stage, Volumes
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


class FeatureAutoencoder(FeatureMethod):
    """Stacked features of a frozen encoder are restored by a small convolutional autoencoder."""

    info = MethodInfo(
        name="fae",
        summary="Autoencoder of stacked encoder features, trained on healthy slices; the score is 1 - SSIM.",
        supervision="healthy",
        unit="slice",
        stages=(PRETRAIN, Stage(name="fit")),
        citation=(
            "Meissen F, Paetzold J, Kaissis G, Rueckert D. Unsupervised anomaly localization with structural "
            "feature-autoencoders. BrainLes 2022, LNCS 13769, 2023."
        ),
        reimplementation=True,
        assumptions=(
            *ENCODER_ASSUMPTIONS,
            "Level 0 is the stem before its pooling; like the others it is brought to the size of level 1.",
            "Every feature channel is divided by its standard deviation over the healthy slices, so that the constants "
            "of SSIM mean the same for every encoder.",
            "SSIM is computed at every position with mirrored borders.",
            "AdamW with one cycle instead of Adam with a constant rate.",
        ),
    )

    class Settings(FeatureMethod.Settings, SliceTraining):
        """Features, autoencoder and its training.

        Attributes:
            layers: levels of the encoder (0 to 3) that are stacked, at the size of level 1.
            features: channels that are kept, drawn at random; all of them if there are fewer.
            hidden: filters of the autoencoder's layers, each with stride 2.
            dropout: share of feature maps that are dropped in training.
        """

        layers: tuple[int, ...] = (0, 1, 2)
        features: int = Field(10_000, ge=1)
        hidden: tuple[int, ...] = (100, 150, 200, 300)
        dropout: float = Field(0.1, ge=0, lt=1)
        learning_rate: float = Field(2e-4, gt=0)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {
            **ENCODER_MOCK,
            "features": 16,
            "hidden": (16, 24),
            "steps": 60,
            "batch_size": 8,
            "learning_rate": 5e-3,
        },
        "quick": {
            **ENCODER_QUICK,
            "features": 48,
            "hidden": (48, 64, 96),
            "steps": 40,
            "batch_size": 16,
            "learning_rate": 3e-3,
        },
        "nightly": {**ENCODER_NIGHTLY, "features": 96, "steps": 120, "batch_size": 8, "learning_rate": 1e-3},
        "standard": {},
        "paper": ENCODER_PAPER,
    }
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"random-encoder": {"weights": "random"}}

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the encoder, draw the channels and create the autoencoder of them."""
        import torch

        from cerebench_methods.baselines.fae_network import feature_autoencoder

        super().build(modalities, shape, spacing)
        channels = sum(self.encoder.channels[layer] for layer in check_layers(self.settings.layers))
        kept = min(self.settings.features, channels)
        self.chosen = torch.randperm(channels)[:kept].sort().values
        self.network: Any = feature_autoencoder(kept, self.settings.hidden, self.settings.dropout)
        self.scale = torch.ones(kept)

    def embed(self, slices: Tensor) -> Tensor:
        """Chosen and stacked features of slices ``[B, C, D, H]``, ``[B, F, h, w]``, before they are scaled."""
        import torch
        from torch.nn.functional import interpolate

        levels = self.levels(slices)
        size = self.encoder.grid(1)
        stacked = torch.cat([interpolate(levels[layer], size, mode="bilinear") for layer in self.settings.layers], 1)
        return stacked[:, self.chosen.to(stacked.device)]

    def restored(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled features of slices and what the autoencoder makes of them, both ``[B, F, h, w]``."""
        from cerebench.training.canvas import crop_to

        features = self.embed(slices) / self.scale.to(slices.device)[:, None, None]
        return features, crop_to(self.network(features), tuple(features.shape[2:]))

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Measure the features' spread, then train; the weights with the lowest validation loss are kept."""
        from cerebench.training.slicewise import train_on_slices
        from cerebench_methods.baselines.fae_network import dissimilarity, spread

        self.scale = spread(self.embed(batch) for batch in self.batches(train, run))

        def loss(batch: Tensor) -> Tensor:
            features, restored = self.restored(batch)
            return dissimilarity(restored.float(), features.float()).mean()

        train_on_slices(run, self.network, loss, train, validation, self.settings)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """1 − SSIM of the features, mean over channels, at the slices' size ``[B, D, H]``."""
        from cerebench_methods.baselines.fae_network import dissimilarity
        from cerebench_methods.features.maps import to_slices

        self.network.eval()
        features, restored = self.restored(images)
        grid = dissimilarity(restored.float(), features.float()).mean(1)
        return Prediction(maps=to_slices(grid, images.shape[2:], context.spacing, 0) * context.brain)
