"""Left minus right: what any method that claims to use symmetry has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cerebench.api import Method, MethodInfo, MethodSettings, PredictContext, Prediction
from cerebench.training.canvas import canvas_shape

if TYPE_CHECKING:
    from torch import Tensor


class MirrorDifference(Method):
    """Absolute difference between the brain and its mirror image across the mid-sagittal plane; nothing is learnt."""

    info = MethodInfo(
        name="mirror-difference",
        summary="Absolute difference between the brain and its mirror image at the mid-sagittal plane.",
        supervision="none",
        unit="volume",
        stages=(),
        citation=(
            "Common knowledge, no single source. Plane by self-registration as in Prima S, Ourselin S, Ayache N. "
            "Computation of the mid-sagittal plane in 3-D brain images. IEEE TMI 21(2):122-138, 2002."
        ),
        assumptions=(
            "The plane maximises the correlation of the brain with its mirror image (two angles, one offset).",
            "A voxel whose mirror place lies outside the brain scores 0: no tissue to compare with.",
        ),
    )

    class Settings(MethodSettings):
        """What is compared.

        Attributes:
            smoothing_mm: standard deviation of the Gaussian that smooths the aligned brain before subtraction.
            polarity: ``absolute`` marks both sides, ``bright`` the brighter one, ``dark`` the darker one.
        """

        smoothing_mm: float = Field(2.0, ge=0, le=20)
        polarity: Literal["absolute", "bright", "dark"] = "absolute"

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Maps ``[B, D, H, W]``, averaged over channels; 0 outside the brain and where the mirror place is outside."""
        import torch

        pairs = zip(images, context.brain, strict=True)
        return Prediction(maps=torch.stack([self._difference(image, brain, context.spacing) for image, brain in pairs]))

    def _difference(self, image: Tensor, brain: Tensor, spacing: tuple[float, ...]) -> Tensor:
        from monai.networks.layers.simplelayers import GaussianFilter

        from cerebench_methods.symmetry.frame import Frame

        inside = brain[None].to(image.dtype)
        across, along = canvas_shape(tuple(brain.shape[:2]), 2)
        frame = Frame.of(image, brain, spacing, (across, along))
        aligned, share = frame.to_symmetric(image * inside), frame.to_symmetric(inside)
        if self.settings.smoothing_mm:
            smooth = GaussianFilter(3, [self.settings.smoothing_mm / side for side in spacing]).to(image.device)
            aligned, share = smooth(aligned[None])[0], smooth(share[None])[0]
        aligned = aligned / share.clamp(min=0.1)
        both = (share >= 0.5) & (share >= 0.5).flip(1)
        difference = aligned - aligned.flip(1)
        if self.settings.polarity == "absolute":
            difference = difference.abs()
        else:
            difference = (difference if self.settings.polarity == "bright" else -difference).clamp(min=0)
        native: Tensor = frame.to_native(difference * both).mean(0) * brain
        return native
