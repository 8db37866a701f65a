"""Foreign patch interpolation (Tan et al. 2021): a network finds how much of another subject is blended in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from cerebench.api import FitRun, Method, MethodInfo, PredictContext, Prediction, SliceTraining, Volumes
from cerebench.training.canvas import canvas_shape, crop_to, pad_to
from cerebench.training.slicewise import train_on_slices

if TYPE_CHECKING:
    from torch import Tensor


class ForeignPatchInterpolation(Method):
    """A U-Net is shown healthy slices with a blended patch of another healthy slice and predicts the blending factor.

    What it predicts for a slice that nobody touched is the anomaly score.
    """

    info = MethodInfo(
        name="fpi",
        summary="U-Net that predicts how much of another healthy slice is blended in at every pixel.",
        supervision="healthy",
        unit="slice",
        citation=(
            "Tan J, Hou B, Batten J, Qiu H, Kainz B. Detecting outliers with foreign patch interpolation. Machine "
            "Learning for Biomedical Imaging (MELBA) 1:013, 2022; arXiv 2011.04197, 2020."
        ),
        reimplementation=True,
        assumptions=(
            "The partner of a slice is the most overlapping one of its batch, not that of equal height of a registered "
            "subject.",
            "Only pixels that are brain in both slices are blended.",
            "MONAI's DynUNet with group normalisation instead of a wide residual encoder and decoder.",
            "AdamW with one cycle instead of Adam at a fixed rate.",
        ),
    )

    class Settings(SliceTraining):
        """Patches and size of the network.

        Attributes:
            least_side: least side of a patch as a share of the slice's.
            most_side: greatest side of a patch as a share of the slice's.
            width: filters of the first level, doubled from level to level.
            depth: levels.
        """

        least_side: float = Field(0.1, gt=0, le=1)
        most_side: float = Field(0.4, gt=0, le=1)
        width: int = Field(32, ge=8, multiple_of=8)
        depth: int = Field(4, ge=3, le=6)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {
            "width": 8,
            "depth": 3,
            "steps": 200,
            "batch_size": 8,
            "learning_rate": 1e-2,
            "least_side": 0.2,
            "most_side": 0.6,
        },
        "quick": {"width": 8, "depth": 3, "steps": 140, "batch_size": 8, "learning_rate": 5e-3},
        "nightly": {"width": 16, "steps": 220, "batch_size": 8, "learning_rate": 3e-3},
        "standard": {},
        "paper": {"width": 64, "depth": 5, "steps": 50_000, "batch_size": 64},
    }

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the U-Net for slices of ``shape``, padded to a multiple of its stride."""
        from cerebench_methods.baselines.slice_unet import slice_unet

        settings = self.settings
        self.canvas = canvas_shape(shape, 2 ** (settings.depth - 1))
        self.network: Any = slice_unet(len(modalities), settings.width, settings.depth)

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Learn to find patches in healthy slices; the weights with the lowest validation loss are kept."""
        train_on_slices(run, self.network, self.training_loss, train, validation, self.settings, self.canvas)

    def training_loss(self, batch: Tensor) -> Tensor:
        """Cross-entropy between predicted and true blending factor of slices ``[B, C, *canvas]``."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        from cerebench_methods.baselines.fpi_patches import interpolated

        blended, factors = interpolated(batch, self.settings.least_side, self.settings.most_side)
        return binary_cross_entropy_with_logits(self.logits(blended), factors)

    def logits(self, padded: Tensor) -> Tensor:
        """Of the blending factor, ``[B, 1, *canvas]``: the mean of the network's outputs, one a channel."""
        found: Tensor = self.network(padded).mean(1, keepdim=True)
        return found

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Predicted blending factor inside the brain, in [0, 1], ``[B, D, H]``."""
        self.network.eval()
        found = self.logits(pad_to(images, self.canvas)).float().sigmoid()
        return Prediction(maps=crop_to(found[:, 0], tuple(images.shape[-2:])) * context.brain)
