"""Convolutional autoencoder on healthy axial slices (Baur et al. 2021); the score is what it fails to reconstruct."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from cerebench.api import MethodInfo, ReconstructionMethod

if TYPE_CHECKING:
    from torch import nn


class Autoencoder(ReconstructionMethod):
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

    class Settings(ReconstructionMethod.Settings):
        """Size and training of the network.

        Attributes:
            width: filters of the first layer.
            depth: layers with stride 2.
            latent: numbers in the code of a slice (dense) or at each place of it (spatial).
            bottleneck: ``dense`` or ``spatial`` code.
        """

        width: int = Field(32, ge=1)
        depth: int = Field(4, ge=1, le=6)
        latent: int = Field(128, ge=1)
        bottleneck: Literal["dense", "spatial"] = "dense"

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {"width": 8, "depth": 2, "latent": 16, "steps": 60, "batch_size": 16, "learning_rate": 5e-3},
        "quick": {"width": 16, "depth": 3, "latent": 64, "steps": 150, "batch_size": 32, "learning_rate": 3e-3},
        "nightly": {"depth": 3, "steps": 300, "batch_size": 32, "learning_rate": 2e-3},
        "standard": {},
        "paper": {"steps": 50_000, "learning_rate": 1e-4},
    }

    def stride(self) -> int:
        """That of all layers together."""
        return int(2**self.settings.depth)

    def network_for(self, channels: int, canvas: tuple[int, ...]) -> nn.Module:
        """The autoencoder with the bottleneck that the settings name."""
        from cerebench_methods.baselines.autoencoder_network import autoencoder

        return autoencoder(channels, canvas, self.settings)
