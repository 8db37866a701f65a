"""RIAD (Zavrtanik et al. 2021): reconstruction by inpainting; the score is how badly gradients are painted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from cerebench.api import MethodInfo, PredictContext, Prediction, ReconstructionMethod
from cerebench.training.canvas import crop_to, pad_to

if TYPE_CHECKING:
    from torch import Tensor, nn


class Riad(ReconstructionMethod):
    """A U-Net paints the hidden cells of a grid from the visible ones; disjoint masks hide every pixel once.

    At each cell size the painted parts are put together to a whole slice and compared with the given one by multi-scale
    gradient magnitude similarity; the maps of all sizes are averaged and smoothed.
    """

    info = MethodInfo(
        name="riad",
        summary="U-Net that paints hidden grid cells of several sizes; the score is the gradients' dissimilarity.",
        supervision="healthy",
        unit="slice",
        citation=(
            "Zavrtanik V, Kristan M, Skočaj D. Reconstruction by inpainting for visual anomaly detection. Pattern "
            "Recognition 112:107706, 2021."
        ),
        reimplementation=True,
        assumptions=(
            "Cell sizes and smoothing are given in mm; the paper's 2 to 16 and 21 pixels belong to photographs of 256.",
            "The U-Net is MONAI's DynUNet with group instead of batch normalisation.",
            "One cell size is drawn for a batch, not for a slice.",
            "The masks of a prediction are drawn once from its seed and serve all slices.",
            "AdamW with one cycle instead of Adam with steps.",
            "Sizes and steps of the preset `paper` are our reading of the paper, which does not give all of them.",
        ),
    )

    class Settings(ReconstructionMethod.Settings):
        """Masks, losses, size of the network.

        Attributes:
            loss: of the intensities; those of structure and gradients come on top.
            polarity: serves only the score ``difference``.
            score: gradients' ``dissimilarity`` (the paper's) or absolute ``difference`` of intensities.
            cells_mm: sides of the grid's cells in mm; each becomes at least one pixel.
            parts: disjoint masks a grid is dealt to.
            structure_weight: weight of 1 − SSIM.
            gradient_weight: weight of the gradients' dissimilarity.
            smoothing_mm: side of the square over which the score is averaged; below two pixels: none.
            width: filters of the U-Net's first level, doubled from level to level.
            depth: its levels.
        """

        loss: Literal["l1", "mse", "ssim"] = "mse"
        score: Literal["dissimilarity", "difference"] = "dissimilarity"
        cells_mm: tuple[float, ...] = Field((4.0, 8.0, 16.0), min_length=1)
        parts: int = Field(3, ge=2)
        structure_weight: float = Field(1.0, ge=0)
        gradient_weight: float = Field(1.0, ge=0)
        smoothing_mm: float = Field(12.0, ge=0)
        width: int = Field(32, ge=8, multiple_of=8)
        depth: int = Field(4, ge=3, le=6)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {
            "width": 8,
            "depth": 3,
            "steps": 80,
            "batch_size": 4,
            "learning_rate": 1e-2,
            "cells_mm": (24.0,),
            "parts": 2,
        },
        "quick": {
            "width": 8,
            "depth": 3,
            "steps": 65,
            "batch_size": 4,
            "learning_rate": 4e-3,
            "cells_mm": (8.0, 16.0),
            "parts": 2,
        },
        "nightly": {
            "width": 16,
            "depth": 3,
            "steps": 150,
            "batch_size": 6,
            "learning_rate": 2e-3,
            "cells_mm": (8.0, 16.0),
            "parts": 2,
        },
        "standard": {},
        "paper": {"width": 64, "depth": 5, "batch_size": 8, "learning_rate": 1e-4, "cells_mm": (2, 4, 8, 16)},
    }

    def stride(self) -> int:
        """That of all levels together."""
        return int(2 ** (self.settings.depth - 1))

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the U-Net; cells and smoothing follow the spacing."""
        super().build(modalities, shape, spacing)
        self.cells = sorted({max(1, round(side / spacing[0])) for side in self.settings.cells_mm})
        self.window = 2 * int(self.settings.smoothing_mm / spacing[0] / 2) + 1

    def network_for(self, channels: int, canvas: tuple[int, ...]) -> nn.Module:
        """The U-Net."""
        from cerebench_methods.baselines.slice_unet import slice_unet

        return slice_unet(channels, self.settings.width, self.settings.depth)

    def training_loss(self, batch: Tensor) -> dict[str, Tensor]:
        """Losses of slices painted cell by cell, at a cell size drawn for the batch."""
        import torch

        from cerebench.training.losses import reconstruction_loss
        from cerebench_methods.baselines.riad_masks import disjoint_masks, inpainted
        from cerebench_methods.baselines.riad_similarity import dissimilarity

        settings = self.settings
        cell = self.cells[int(torch.randint(len(self.cells), ()))]
        masks = disjoint_masks(self.canvas, cell, settings.parts, batch.device)
        painted = inpainted(self.network, batch, masks)
        intensity = self.distance(painted, batch)
        structure = reconstruction_loss("ssim")(painted, batch)
        gradients = dissimilarity(painted, batch).mean()
        loss = intensity + settings.structure_weight * structure + settings.gradient_weight * gradients
        return {"loss": loss, "intensity": intensity, "structure": structure, "gradients": gradients}

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Score inside the brain, averaged over the cell sizes and smoothed, ``[B, D, H]``."""
        import torch
        from torch.nn.functional import avg_pool2d

        from cerebench_methods.baselines.riad_similarity import dissimilarity

        padded = pad_to(images, self.canvas)
        maps = []
        for painted in self._painted(padded, context.seed):
            if self.settings.score == "dissimilarity":
                maps.append(dissimilarity(painted, padded))
            else:
                error = padded - painted
                error = error.abs() if self.settings.polarity == "absolute" else error.clamp(min=0)
                maps.append(error.mean(1, keepdim=True))
        found = avg_pool2d(torch.stack(maps).mean(0), self.window, stride=1, padding=self.window // 2)
        return Prediction(maps=crop_to(found[:, 0], tuple(images.shape[-2:])) * context.brain)

    def explain(self, images: Tensor, context: PredictContext) -> dict[str, Tensor]:
        """First channel as painted at each cell size, ``[B, D, H]``."""
        shape = tuple(images.shape[-2:])
        painted = self._painted(pad_to(images, self.canvas), context.seed)
        return {
            f"painted, cells of {cell} px": crop_to(one[:, 0], shape) * context.brain
            for cell, one in zip(self.cells, painted, strict=True)
        }

    def _painted(self, padded: Tensor, seed: int) -> list[Tensor]:
        """Slices ``[B, C, *canvas]`` painted at each cell size."""
        import torch

        from cerebench_methods.baselines.riad_masks import disjoint_masks, inpainted

        self.network.eval()
        generator = torch.Generator().manual_seed(seed)
        painted = []
        for cell in self.cells:
            masks = disjoint_masks(self.canvas, cell, self.settings.parts, padded.device, generator)
            painted.append(inpainted(self.network, padded, masks).float())
        return painted
