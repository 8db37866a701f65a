"""Voxelwise z-score against the mean and spread of affinely aligned healthy brains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from cerebench.api import FitRun, Method, MethodInfo, MethodSettings, PredictContext, Prediction, Volumes

if TYPE_CHECKING:
    from torch import Tensor


class HealthyAtlas(Method):
    """How many healthy standard deviations a voxel lies from the healthy mean at its place in the brain.

    Training brains are aligned to their own mean, which is sharpened in rounds; sums of weights, intensities and
    squares are all that is kept of them. Mean and spread are brought to a test brain, which is not resampled itself.
    """

    info = MethodInfo(
        name="healthy-atlas",
        summary="Voxelwise z-score against the mean and spread of affinely aligned healthy brains.",
        supervision="healthy",
        unit="volume",
        citation=(
            "Common practice, no single source; as in Wright IC, McGuire PK, Poline J-B, et al. A voxel-based method "
            "for the statistical analysis of gray and white matter density applied to schizophrenia. NeuroImage "
            "2(4):244-252, 1995."
        ),
        reimplementation=True,
        assumptions=(
            "Affine alignment alone: differences of folding that it leaves widen the spread.",
            "All channels of a volume are aligned by their mean.",
            "Mean and spread become those of the neighbourhood where few healthy brains reach.",
        ),
    )

    class Settings(MethodSettings):
        """Alignment, spread and score.

        Attributes:
            rounds: alignments to the mean of the round before; the first mean is of brains of equal extent.
            spread_mm: standard deviation of the Gaussian that smooths the healthy variance, in mm.
            min_spread: least spread, where tissue spans about 1.
            prior_cases: healthy brains' worth of weight that the neighbourhood has at every place.
            smoothing_mm: standard deviation of the Gaussian that smooths the z-score inside the brain, in mm.
            polarity: ``absolute`` z-score, or its ``bright`` or ``dark`` part.
        """

        rounds: int = Field(2, ge=1, le=5)
        spread_mm: float = Field(4.0, ge=0)
        min_spread: float = Field(0.05, gt=0)
        prior_cases: float = Field(1.0, gt=0)
        smoothing_mm: float = Field(0.0, ge=0)
        polarity: Literal["absolute", "bright", "dark"] = "absolute"

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {"rounds": 1},
        "quick": {"rounds": 1},
        "nightly": {},
        "standard": {},
        "paper": {"rounds": 3},
    }

    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"bright": {"polarity": "bright"}}

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create an empty atlas on the grid of the training volumes."""
        import torch

        self.spacing = spacing
        self.template = torch.zeros(shape)
        """Mean brain with 0 outside, ``[D, H, W]``; what brains are aligned to."""
        self.share = torch.zeros(shape)
        """Share of training brains at each place, ``[D, H, W]``."""
        self.mean = torch.zeros(len(modalities), *shape)
        self.spread = torch.ones(len(modalities), *shape)

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Mean and spread of the aligned training brains, read one after the other in every round."""
        from cerebench_methods.baselines.healthy_atlas_statistics import Sums, atlas, first_frame
        from cerebench_methods.baselines.healthy_atlas_volume import Brain

        settings, total = self.settings, (self.settings.rounds + 2) * len(train)
        done = 0

        def brains() -> Any:
            nonlocal done
            for volume in train:
                yield Brain.of_volume(volume, run.device)
                done += 1
                run.progress(done, total, "aligning healthy brains")

        frame = first_frame(brains(), tuple(self.template.shape), self.spacing, run.device)
        for _ in range(settings.rounds + 1):
            sums = Sums(self.mean.shape, run.device)
            for brain in brains():
                sums.add(*frame.delivered(brain))
            frame = frame.sharpened(sums)
        self.template, self.share = frame.template, frame.share
        self.mean, self.spread = atlas(
            sums, frame.spacing, settings.spread_mm, settings.min_spread, settings.prior_cases
        )

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Z-scores inside the brain, averaged over channels, ``[B, D, H, W]``."""
        import torch

        found = [self._scored(image, brain, context) for image, brain in zip(images, context.brain, strict=True)]
        return Prediction(maps=torch.stack(found))

    def explain(self, images: Tensor, context: PredictContext) -> dict[str, Tensor]:
        """Healthy mean and spread of the first channel at the brain's places, ``[B, D, H, W]``."""
        import torch

        pairs = zip(images, context.brain, strict=True)
        found = [self._expected(image, brain, context.spacing) for image, brain in pairs]
        mean, spread = (torch.stack([one[part][0] for one in found]) * context.brain for part in (0, 1))
        return {"healthy mean": mean, "healthy spread": spread}

    def _expected(self, image: Tensor, brain: Tensor, spacing: tuple[float, ...]) -> tuple[Tensor, Tensor]:
        """Mean and spread ``[C, D, H, W]`` at the places of a brain."""
        import torch

        from cerebench_methods.baselines.healthy_atlas_volume import Brain, Frame

        given = Brain(image, brain, torch.tensor(spacing, device=image.device))
        frame = Frame(self.template, self.share, torch.tensor(self.spacing, device=image.device))
        mean, spread = frame.brought_to(given, torch.cat([self.mean, self.spread])).chunk(2)
        return mean, spread.clamp(min=self.settings.min_spread)

    def _scored(self, image: Tensor, brain: Tensor, context: PredictContext) -> Tensor:
        import torch

        from cerebench_methods.baselines.healthy_atlas_registration import smoothed

        mean, spread = self._expected(image, brain, context.spacing)
        inside = brain.to(image.dtype)
        score = (image - mean) / spread * inside
        if self.settings.smoothing_mm:
            spacing = torch.tensor(context.spacing, device=image.device)
            both = smoothed(torch.cat([score, inside[None]]), spacing, self.settings.smoothing_mm)
            score = both[:-1] / both[-1:].clamp(min=1e-3)
        if self.settings.polarity == "absolute":
            score = score.abs()
        else:
            score = (score if self.settings.polarity == "bright" else -score).clamp(min=0)
        return score.mean(0) * inside
