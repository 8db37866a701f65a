"""Patched diffusion (Behrendt et al. 2023): one patch is noised at a time, the rest of the slice stays visible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from cerebench.api import MethodInfo, UsageError
from cerebench_methods.baselines.diffusion_method import TIMESTEPS, DiffusionMethod

if TYPE_CHECKING:
    from torch import Tensor


class PatchedDdpm(DiffusionMethod):
    """A diffusion model paints a noised patch from what it sees around it; patches cover the slice."""

    predicts = "sample"

    info = MethodInfo(
        name="patched-ddpm",
        summary="Diffusion model that denoises a slice patch by patch; score: difference to the stitched slice.",
        supervision="healthy",
        unit="slice",
        citation=(
            "Behrendt F, Bhattacharya D, Krüger J, Opfer R, Schlaefer A. Patched diffusion models for unsupervised "
            "anomaly detection in brain MRI. Medical Imaging with Deep Learning (MIDL), PMLR 227:1019-1032, 2023; "
            "arXiv 2303.03758."
        ),
        reimplementation=True,
        assumptions=(
            "Side and distance of the patches are shares of the slice; the published sizes were not at hand.",
            "Gaussian noise; the network gives the clean slice, in one step from time step 500.",
            "Where patches overlap, their estimates are averaged.",
            "Time steps after the start of restoration are not trained, because they are never used.",
            "One noise field for all slices of a prediction.",
            "AdamW with one cycle; no median filter of the score, which is left to the protocol.",
        ),
        cost="iterative",
    )

    class Settings(DiffusionMethod.Settings):
        """Patches.

        Attributes:
            start: time step of 1000 up to which a patch is noised.
            jump: as far as ``start``: one evaluation of the network a patch.
            side: side of a patch as a share of the slice's.
            patches: patches along each axis in a prediction, evenly spread; they must cover the slice.
        """

        loss: Literal["l1", "mse"] = "l1"
        start: int = Field(500, ge=1, lt=TIMESTEPS)
        jump: int = Field(500, ge=1)
        side: float = Field(0.5, gt=0, lt=1)
        patches: int = Field(3, ge=2)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {
            "width": 8,
            "depth": 2,
            "blocks": 1,
            "attention_levels": 0,
            "patches": 2,
            "steps": 40,
            "batch_size": 8,
            "learning_rate": 5e-3,
        },
        "quick": {
            "width": 8,
            "depth": 3,
            "blocks": 1,
            "attention_levels": 0,
            "patches": 2,
            "steps": 50,
            "batch_size": 8,
            "learning_rate": 5e-3,
        },
        "nightly": {
            "width": 8,
            "depth": 3,
            "blocks": 1,
            "attention_levels": 0,
            "steps": 240,
            "batch_size": 4,
            "learning_rate": 2e-3,
        },
        "standard": {},
        "paper": {"width": 128, "steps": 300_000, "batch_size": 32, "learning_rate": 1e-4},
    }

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the U-Net.

        Raises:
            UsageError: patches leave gaps, or ``jump`` does not fit.
        """
        settings = self.settings
        if settings.side * settings.patches < 1:
            raise UsageError(
                f"method 'patched-ddpm': {settings.patches} patches of side {settings.side} do not cover a slice; "
                f"expected side × patches of at least 1, raise either setting"
            )
        super().build(modalities, shape, spacing)

    @property
    def sides(self) -> tuple[int, ...]:
        """Sides of a patch in pixels."""
        import math

        return tuple(math.ceil(self.settings.side * side) for side in self.canvas)

    def hidden(self, batch: Tensor) -> Tensor:
        """A patch at a random place for each slice."""
        import torch

        where = torch.ones_like(batch[:, :1])
        for axis, (room, side) in enumerate(zip(self.canvas, self.sides, strict=True), start=2):
            start = torch.randint(room - side + 1, (len(batch), 1)).to(batch.device)
            places = torch.arange(room, device=batch.device)
            near = (places >= start) & (places < start + side)
            where = where * near.view(len(batch), 1, *(room if other == axis else 1 for other in (2, 3)))
        return where

    def parts(self, device: Any) -> list[Tensor]:
        """Patches from corner to corner, evenly spread along both axes."""
        import torch

        count = self.settings.patches
        starts = [
            [round(index * (room - side) / (count - 1)) for index in range(count)]
            for room, side in zip(self.canvas, self.sides, strict=True)
        ]
        masks = []
        for row in starts[0]:
            for column in starts[1]:
                mask = torch.zeros(1, 1, *self.canvas, device=device)
                mask[..., row : row + self.sides[0], column : column + self.sides[1]] = 1
                masks.append(mask)
        return masks
