"""DISYRE (Naval Marimont et al. 2024): restoration of synthetic anomalies, severity by severity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from cerebench.api import MethodInfo, PredictContext, Prediction, ReconstructionMethod
from cerebench.training.canvas import crop_to, pad_to

if TYPE_CHECKING:
    from torch import Tensor, nn


class Disyre(ReconstructionMethod):
    """A diffusion model with synthetic anomalies in place of noise.

    A U-Net restores healthy slices in one step from anomalies of known severity. A given slice is taken for one of the
    highest severity and led back over several lower ones; the changes of all steps are averaged.
    """

    info = MethodInfo(
        name="disyre",
        summary="U-Net that restores slices from synthetic anomalies of gradual severity; score: changes of all steps.",
        supervision="healthy",
        unit="slice",
        citation=(
            "Naval Marimont S, Baugh M, Siomos V, Tzelepis C, Kainz B, Tarroni G. DISYRE: diffusion-inspired synthetic "
            "restoration for unsupervised anomaly detection. IEEE ISBI, 2024; Naval Marimont S, Siomos V, Baugh M, et "
            "al. Ensembled cold-diffusion restorations for unsupervised anomaly detection. MICCAI, 2024."
        ),
        reimplementation=True,
        assumptions=(
            "Shape (rectangle, frayed ellipse), texture (own, of another slice), change of intensity and severity are "
            "drawn independently, which is our reading of the disentangled generation.",
            "Severity is an additional constant channel instead of an embedded time step, and falls evenly.",
            "MONAI's DynUNet instead of the U-Net of diffusion models.",
            "Whole slices instead of overlapping patches of several slices.",
            "AdamW with one cycle.",
        ),
    )

    class Settings(ReconstructionMethod.Settings):
        """Anomalies, restoration, size of the network.

        Attributes:
            loss: between restored and healthy slice.
            restorations: severities from 1 down at which a slice is restored.
            least_side: least side of an anomaly as a share of the slice's.
            most_side: greatest side of an anomaly as a share of the slice's.
            shift: greatest change of intensity, where tissue spans about 1.
            texture_mm: distance of the nodes of noise that frays outlines and textures anomalies, in mm.
            width: filters of the U-Net's first level, doubled from level to level.
            depth: its levels.
        """

        loss: Literal["l1", "mse", "ssim"] = "mse"
        restorations: int = Field(5, ge=1, le=100)
        least_side: float = Field(0.1, gt=0, le=1)
        most_side: float = Field(0.5, gt=0, le=1)
        shift: float = Field(1.0, gt=0)
        texture_mm: float = Field(12.0, gt=0)
        width: int = Field(32, ge=8, multiple_of=8)
        depth: int = Field(4, ge=3, le=6)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {
            "width": 8,
            "depth": 3,
            "steps": 120,
            "batch_size": 8,
            "learning_rate": 1e-2,
            "least_side": 0.2,
            "most_side": 0.6,
            "restorations": 2,
        },
        "quick": {
            "width": 8,
            "depth": 3,
            "steps": 140,
            "batch_size": 8,
            "learning_rate": 1e-2,
            "restorations": 1,
        },
        "nightly": {"width": 16, "steps": 220, "batch_size": 8, "learning_rate": 5e-3, "restorations": 2},
        "standard": {},
        "paper": {"width": 64, "depth": 5, "steps": 100_000, "learning_rate": 1e-4, "restorations": 20},
    }

    def stride(self) -> int:
        """That of all levels together."""
        return int(2 ** (self.settings.depth - 1))

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the U-Net; outlines and textures follow the spacing."""
        super().build(modalities, shape, spacing)
        self.cell = tuple(self.settings.texture_mm / step for step in spacing)

    def network_for(self, channels: int, canvas: tuple[int, ...]) -> nn.Module:
        """The U-Net, with a channel for the severity."""
        from cerebench_methods.baselines.slice_unet import slice_unet

        return slice_unet(channels + 1, self.settings.width, self.settings.depth)

    def restored_once(self, padded: Tensor, severities: Tensor) -> Tensor:
        """Healthy slices ``[B, C, *canvas]`` estimated from anomalous ones of known severity ``[B]``."""
        import torch

        known = severities[:, None, None, None].expand(-1, 1, *padded.shape[2:])
        # the network's own output is the change, so that it starts near the identity
        restored: Tensor = padded + self.network(torch.cat([padded, known], 1))[:, :-1]
        return restored

    def training_loss(self, batch: Tensor) -> Tensor:
        """Distance between healthy slices and what is restored from corrupted ones."""
        import torch

        from cerebench_methods.baselines.dae_noise import foreground
        from cerebench_methods.baselines.disyre_corruption import corrupted

        settings = self.settings
        severities = 1 - torch.rand(len(batch), device=batch.device)
        ill = corrupted(batch, severities, settings.least_side, settings.most_side, settings.shift, self.cell)
        return self.distance(self.restored_once(ill, severities) * foreground(batch), batch)

    def trajectory(self, padded: Tensor) -> list[Tensor]:
        """Healthy slices ``[B, C, *canvas]`` as estimated at each severity, the highest first.

        An anomaly of severity a is its worst state, blended by a with the healthy slice; after each estimate the slice
        is blended anew for the next lower severity.
        """
        steps, estimates = self.settings.restorations, []
        for left in range(steps, 0, -1):
            estimate = self.restored_once(padded, padded.new_full((len(padded),), left / steps))
            estimates.append(estimate.float())
            padded = estimate + (left - 1) / left * (padded - estimate)
        return estimates

    def restore_slices(self, padded: Tensor) -> Tensor:
        """The estimate at the lowest severity."""
        return self.trajectory(padded)[-1]

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Difference between slice and estimates inside the brain, mean over severities and channels, ``[B, D, H]``."""
        import torch

        self.network.eval()
        padded = pad_to(images, self.canvas)
        errors = padded - torch.stack(self.trajectory(padded))
        errors = errors.abs() if self.settings.polarity == "absolute" else errors.clamp(min=0)
        return Prediction(maps=crop_to(errors.mean((0, 2)), tuple(images.shape[-2:])) * context.brain)
