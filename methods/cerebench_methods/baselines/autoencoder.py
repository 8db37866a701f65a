"""Convolutional autoencoder on healthy axial slices (Baur et al. 2021); the score is what it fails to reconstruct."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from cerebench.api import FitRun, Method, MethodInfo, MethodSettings, PredictContext, Prediction, Volumes
from cerebench_methods.canvas import canvas_shape, crop_to, pad_to

if TYPE_CHECKING:
    from torch import Tensor


class Autoencoder(Method):
    """MONAI's ``AutoEncoder`` with a dense bottleneck.

    The plain MONAI network is fully convolutional and copies small lesions through its spatial code; Baur et al. found
    the dense code better for lesions, so it is the default and the spatial code a setting.
    """

    info = MethodInfo(
        name="autoencoder",
        summary="Convolutional autoencoder trained on healthy axial slices; the score is the reconstruction error.",
        supervision="healthy",
        unit="slice",
        citation=(
            "Baur C, Denner S, Wiestler B, Navab N, Albarqouni S. Autoencoders for unsupervised anomaly segmentation "
            "in brain MR images: a comparative study. Medical Image Analysis 69:101952, 2021."
        ),
        reimplementation=True,
        assumptions=(
            "Filters double from the first layer to at most four times as many.",
            "The published sizes were not at hand: preset paper is our reading of them.",
            "Optimiser (AdamW), learning rate schedule (one cycle) and number of steps are ours.",
        ),
    )

    class Settings(MethodSettings):
        """Size and training of the network.

        Attributes:
            width: filters of the first layer.
            depth: layers with stride 2.
            latent: numbers in the code of a slice (dense) or at each place of it (spatial).
            bottleneck: ``dense`` or ``spatial`` code.
            loss: training loss: mean absolute error, mean squared error or 1 − SSIM.
            polarity: ``absolute`` error, or ``bright`` for Baur's prior that lesions are brighter than expected.
            steps: optimiser steps.
            batch_size: slices a step.
            learning_rate: peak of the one-cycle schedule.
            min_brain: least share of brain in a training slice.
        """

        width: int = Field(32, ge=1)
        depth: int = Field(4, ge=1, le=6)
        latent: int = Field(128, ge=1)
        bottleneck: Literal["dense", "spatial"] = "dense"
        loss: Literal["l1", "mse", "ssim"] = "l1"
        polarity: Literal["absolute", "bright"] = "absolute"
        steps: int = Field(20_000, ge=1)
        batch_size: int = Field(64, ge=1)
        learning_rate: float = Field(1e-3, gt=0)
        min_brain: float = Field(0.02, ge=0, lt=1)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {"width": 8, "depth": 2, "latent": 16, "steps": 60, "batch_size": 16, "learning_rate": 5e-3},
        "quick": {"width": 16, "depth": 3, "latent": 64, "steps": 300, "batch_size": 32, "learning_rate": 3e-3},
        "nightly": {"depth": 3, "steps": 1500, "batch_size": 32, "learning_rate": 2e-3},
        "standard": {},
        "paper": {"steps": 50_000, "learning_rate": 1e-4},
    }

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the network for slices of ``shape``, padded to a multiple of its strides."""
        from cerebench_methods.baselines.autoencoder_network import autoencoder

        self.canvas = canvas_shape(shape, 2**self.settings.depth)
        self.network = autoencoder(len(modalities), self.canvas, self.settings)

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Train on healthy slices; the weights with the lowest validation loss are kept."""
        from torch.optim.lr_scheduler import OneCycleLR

        from cerebench.training import train as train_modules
        from cerebench_methods.baselines.autoencoder_network import reconstruction_loss

        settings = self.settings
        loss = reconstruction_loss(settings.loss)

        def batch_loss(batch: Tensor) -> Tensor:
            padded = pad_to(batch, self.canvas)
            return loss(self.network(padded), padded)

        train_modules(
            run,
            self.network,
            train.slices(settings.min_brain),
            batch_loss,
            steps=settings.steps,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            scheduler=lambda optimizer, total: OneCycleLR(optimizer, settings.learning_rate, total_steps=total),
            validation=validation.slices(settings.min_brain) if len(validation) else None,
        )

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstructions of slices ``[B, C, D, H]``, same shape."""
        self.network.eval()
        restored: Tensor = self.network(pad_to(images, self.canvas))
        return crop_to(restored.float(), tuple(images.shape[-2:]))

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Reconstruction error inside the brain, averaged over channels, ``[B, D, H]``."""
        error = images - self.reconstruct(images)
        error = error.abs() if self.settings.polarity == "absolute" else error.clamp(min=0)
        return Prediction(maps=error.mean(1) * context.brain)

    def explain(self, images: Tensor, context: PredictContext) -> dict[str, Tensor]:
        """The reconstruction of the first channel, ``[B, D, H]``."""
        return {"pseudo-healthy": self.reconstruct(images)[:, 0] * context.brain}
