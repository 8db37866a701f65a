"""Denoising autoencoder with coarse noise (Kascenas et al. 2022): the score is what denoising changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from cerebench.api import MethodInfo, ReconstructionMethod

if TYPE_CHECKING:
    from torch import Tensor, nn


class DenoisingAutoencoder(ReconstructionMethod):
    """A U-Net learns to remove coarse noise from healthy slices and then removes lesions from slices without noise.

    Skip connections let it keep all healthy detail; the noise is as coarse as lesions are large.
    """

    info = MethodInfo(
        name="dae",
        summary="U-Net that removes coarse noise from healthy slices; the score is what it changes in a clean slice.",
        supervision="healthy",
        unit="slice",
        citation=(
            "Kascenas A, Pugeault N, O'Neil AQ. Denoising autoencoders for unsupervised anomaly detection in brain "
            "MRI. Medical Imaging with Deep Learning (MIDL), PMLR 172:653-664, 2022."
        ),
        reimplementation=True,
        assumptions=(
            "The noise's grid is given in mm: 16 nodes on the paper's 128 pixels of BraTS slices are 15 mm.",
            "The grid is shifted by cropping a larger one instead of rolling the image.",
            "One modality at a time, where the paper gives four as channels.",
            "The U-Net is MONAI's DynUNet: leaky ReLU and strided convolutions instead of swish and pooling, no weight "
            "standardisation.",
            "Mask erosion and median filter of the paper's score are left to the protocol's post-processing.",
            "AdamW with one cycle instead of Adam (amsgrad) with cosine annealing.",
        ),
    )

    class Settings(ReconstructionMethod.Settings):
        """Noise and size of the network.

        Attributes:
            loss: between restored and clean slice, over the brain.
            noise_mm: distance of the nodes of the noise's grid in mm.
            noise_std: standard deviation of the noise, where tissue spans about 1.
            width: filters of the first level, doubled from level to level.
            depth: levels.
        """

        loss: Literal["l1", "mse", "ssim"] = "mse"
        noise_mm: float = Field(15.0, gt=0)
        noise_std: float = Field(0.2, gt=0)
        width: int = Field(32, ge=8, multiple_of=8)
        depth: int = Field(4, ge=3, le=6)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {"width": 8, "depth": 3, "steps": 40, "batch_size": 8, "learning_rate": 5e-3},
        "quick": {"width": 8, "depth": 3, "steps": 120, "batch_size": 8, "learning_rate": 3e-3},
        "nightly": {"width": 16, "steps": 240, "batch_size": 8, "learning_rate": 2e-3},
        "standard": {},
        "paper": {"width": 64, "steps": 67_200, "batch_size": 16, "learning_rate": 1e-4},
    }

    def stride(self) -> int:
        """That of all levels together."""
        return int(2 ** (self.settings.depth - 1))

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the U-Net; the noise's grid follows the spacing."""
        super().build(modalities, shape, spacing)
        self.cell = tuple(self.settings.noise_mm / step for step in spacing)

    def network_for(self, channels: int, canvas: tuple[int, ...]) -> nn.Module:
        """The U-Net."""
        from cerebench_methods.baselines.slice_unet import slice_unet

        return slice_unet(channels, self.settings.width, self.settings.depth)

    def training_loss(self, batch: Tensor) -> Tensor:
        """Distance between clean slices and what is restored from noisy ones, where there is brain."""
        from cerebench_methods.baselines.dae_noise import coarse_noise, foreground

        brain = foreground(batch)
        noisy = batch + brain * coarse_noise(batch, self.cell, self.settings.noise_std)
        return self.distance(self.network(noisy) * brain, batch)
