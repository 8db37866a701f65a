"""Histogram-equalised intensity as the anomaly score (Meissen et al. 2021): the baseline to beat on FLAIR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cerebench.api import Method, MethodInfo, MethodSettings, PredictContext, Prediction

if TYPE_CHECKING:
    from torch import Tensor


class IntensityThreshold(Method):
    """Score of a voxel: the share of the brain's voxels that are not brighter than it.

    The paper equalises the histogram with a fixed number of bins. Here every distinct intensity is its own bin, so that
    the score keeps the order of intensities within a case and makes thresholds comparable between cases.
    """

    info = MethodInfo(
        name="intensity-threshold",
        summary="Histogram-equalised intensity inside the brain is the anomaly score; nothing is learnt.",
        supervision="none",
        unit="volume",
        stages=(),
        citation=(
            "Meissen F, Kaissis G, Rueckert D. Challenging current semi-supervised anomaly segmentation methods for "
            "brain MRI. BrainLes 2021, LNCS 12962, 2022."
        ),
        reimplementation=True,
        assumptions=(
            "The equalisation is exact (one bin a distinct intensity) and per volume.",
            "The published method is for FLAIR; other modalities are scored by the same rule.",
        ),
    )

    class Settings(MethodSettings):
        """What counts as abnormal.

        Attributes:
            polarity: ``bright`` (the paper's), ``dark`` or ``extreme`` (distance from the median, either way).
        """

        polarity: Literal["bright", "dark", "extreme"] = "bright"

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Maps ``[B, D, H, W]`` in [0, 1], 0 outside the brain; several channels are averaged."""
        import torch

        maps = torch.zeros(context.brain.shape, dtype=torch.float32, device=images.device)
        for item, brain in enumerate(context.brain):
            if brain.any():
                scores = [self._score(channel[brain]) for channel in images[item]]
                maps[item][brain] = torch.stack(scores).mean(0)
        return Prediction(maps=maps)

    def _score(self, values: Tensor) -> Tensor:
        shares = equalise(values)
        if self.settings.polarity == "bright":
            return shares
        if self.settings.polarity == "dark":
            return equalise(-values)
        return (shares - equalise(-values)).abs()


def equalise(values: Tensor) -> Tensor:
    """Empirical distribution function at each value: the share of values not above it, ``[N]`` float32 in (0, 1]."""
    import torch

    values = values.float()
    counts = torch.searchsorted(values.sort().values, values, right=True)
    return (counts.double() / values.numel()).float()
