"""f-AnoGAN (Schlegl et al. 2019): a Wasserstein GAN of healthy slices and an encoder into its latent space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from cerebench.api import FitRun, MethodInfo, PredictContext, Prediction, ReconstructionMethod, Stage, Volumes
from cerebench.training.canvas import canvas_shape, pad_to
from cerebench.training.slicewise import train_on_slices

if TYPE_CHECKING:
    from torch import Tensor

ADVERSARIES = (
    "steps",
    "batch_size",
    "learning_rate",
    "min_brain",
    "width",
    "depth",
    "convolutions",
    "latent",
    "penalty",
)
"""Settings of the first stage."""


class FAnogan(ReconstructionMethod):
    """Stage ``fit`` trains generator and critic, stage ``encode`` the encoder (izi_f) while both stay as they are."""

    info = MethodInfo(
        name="f-anogan",
        summary="Wasserstein GAN of healthy slices with an encoder; residuals of the image and of the critic features.",
        supervision="healthy",
        unit="slice",
        stages=(
            Stage(name="fit", settings=ADVERSARIES, keeps=("generator", "critic")),
            Stage(name="encode"),
        ),
        citation=(
            "Schlegl T, Seeböck P, Waldstein SM, Langs G, Schmidt-Erfurth U. f-AnoGAN: fast unsupervised anomaly "
            "detection with generative adversarial networks. Medical Image Analysis 54:30-44, 2019."
        ),
        reimplementation=True,
        assumptions=(
            "Whole slices instead of the paper's 64 × 64 patches of OCT.",
            "Residual networks from MONAI's blocks; the critic has no normalisation.",
            "One update of the critic for each of the generator, where the paper makes five.",
            "Critic features are those before its last, linear layer.",
            "The generator's output is not bounded and the latent prior is normal.",
            "Sizes and steps of the preset `paper` are our reading of the paper, which does not give all of them.",
        ),
    )

    class Settings(ReconstructionMethod.Settings):
        """Networks, both trainings and the score.

        Attributes:
            loss: image part of the encoder's loss.
            width: filters of the critic's first layer, doubled to at most 4 times as many; the generator mirrors it.
            depth: layers, each halving the sides.
            convolutions: in the residual unit of a layer.
            latent: numbers in a code.
            penalty: weight of the critic's gradient penalty.
            kappa: weight of the features' residual, in the encoder's loss and in the slice score.
            encoder_steps: optimiser steps of the encoder.
            encoder_learning_rate: peak of its one-cycle schedule; ``learning_rate`` of the adversaries is constant.
        """

        loss: Literal["l1", "mse", "ssim"] = "mse"
        learning_rate: float = Field(1e-4, gt=0)
        width: int = Field(32, ge=1)
        depth: int = Field(4, ge=2, le=6)
        convolutions: int = Field(2, ge=1)
        latent: int = Field(128, ge=1)
        penalty: float = Field(10.0, ge=0)
        kappa: float = Field(1.0, ge=0)
        encoder_steps: int = Field(10_000, ge=1)
        encoder_learning_rate: float = Field(1e-3, gt=0)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {
            "width": 8,
            "depth": 2,
            "convolutions": 1,
            "latent": 16,
            "steps": 60,
            "batch_size": 8,
            "learning_rate": 1e-3,
            "encoder_steps": 60,
            "encoder_learning_rate": 5e-3,
        },
        "quick": {
            "width": 8,
            "depth": 3,
            "convolutions": 1,
            "latent": 32,
            "steps": 80,
            "batch_size": 8,
            "learning_rate": 2e-3,
            "encoder_steps": 80,
            "encoder_learning_rate": 3e-3,
        },
        "nightly": {
            "width": 16,
            "depth": 3,
            "latent": 64,
            "steps": 180,
            "batch_size": 16,
            "learning_rate": 5e-4,
            "encoder_steps": 180,
            "encoder_learning_rate": 2e-3,
        },
        "standard": {},
        "paper": {"width": 64, "steps": 100_000, "encoder_steps": 50_000, "encoder_learning_rate": 5e-5},
    }

    def stride(self) -> int:
        """That of all layers together."""
        return int(2**self.settings.depth)

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create generator, critic and encoder for slices of ``shape``, padded to a multiple of the stride."""
        from cerebench_methods.baselines.f_anogan_networks import critic, encoder, generator

        settings = self.settings
        self.canvas = canvas_shape(shape, self.stride())
        image = (len(modalities), *self.canvas)
        size = (settings.width, settings.depth, settings.convolutions)
        self.generator: Any = generator(image, settings.latent, *size)
        self.critic: Any = critic(image, *size)
        self.encoder: Any = encoder(image, settings.latent, *size)

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Stage 1: generator and critic in turn; the last weights are kept, for no validation loss judges a GAN."""
        import torch

        from cerebench_methods.baselines.f_anogan_losses import critic_loss

        def fake(batch: Tensor) -> Tensor:
            made: Tensor = self.generator(torch.randn(len(batch), self.settings.latent, device=batch.device))
            return made

        def judge(batch: Tensor) -> dict[str, Tensor]:
            with torch.no_grad():
                made = fake(batch)
            return critic_loss(self.critic, batch, made, self.settings.penalty)

        train_on_slices(
            run,
            {"critic": self.critic, "generator": self.generator},
            {"critic": judge, "generator": lambda batch: -self.critic(fake(batch)).mean()},
            train,
            None,
            self.settings,
            self.canvas,
            optimizer=lambda parameters, rate: torch.optim.Adam(parameters, lr=rate, betas=(0.0, 0.9)),
            scheduler=None,
            clip_norm=None,
            name="adversaries",
        )

    def encode(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Stage 2: the encoder learns codes from which the generator makes the slice again."""
        for module in (self.generator, self.critic):
            module.eval().requires_grad_(False)
        train_on_slices(
            run,
            self.encoder,
            self.training_loss,
            train,
            validation,
            self.settings,
            self.canvas,
            steps=self.settings.encoder_steps,
            learning_rate=self.settings.encoder_learning_rate,
            name="encoder",
        )

    def training_loss(self, batch: Tensor) -> dict[str, Tensor]:
        """Residual of the image and, weighted with kappa, mean squared residual of the critic's features."""
        restored = self.restore_slices(batch)
        image = self.distance(restored, batch)
        features = self._feature_residual(batch, restored).mean()
        return {"loss": image + self.settings.kappa * features, "image": image, "features": features}

    def restore_slices(self, padded: Tensor) -> Tensor:
        """What the generator makes of the slices' codes."""
        restored: Tensor = self.generator(self.encoder(padded))
        return restored

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Maps of the image's residual ``[B, D, H]``; slice scores ``[B]``: both mean squared residuals together."""
        maps = super().predict(images, context).maps
        padded = pad_to(images, self.canvas)
        restored = self.restore_slices(padded)
        image = (padded - restored).square().flatten(1).mean(1)
        return Prediction(maps=maps, scores=image + self.settings.kappa * self._feature_residual(padded, restored))

    def _feature_residual(self, padded: Tensor, restored: Tensor) -> Tensor:
        """Mean squared difference of the critic's features, ``[B]``."""
        residual: Tensor = self.critic.net(padded) - self.critic.net(restored)
        return residual.square().flatten(1).mean(1)
