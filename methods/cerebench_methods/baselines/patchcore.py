"""PatchCore (Roth et al. 2022): a coreset of healthy patch features; the score is the distance to the nearest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from cerebench.api import FitRun, MethodInfo, PredictContext, Prediction, Stage, Volumes
from cerebench_methods.features.method import FeatureMethod, check_layers
from cerebench_methods.features.settings import (
    ENCODER_ASSUMPTIONS,
    ENCODER_MOCK,
    ENCODER_NIGHTLY,
    ENCODER_PAPER,
    ENCODER_QUICK,
    PRETRAIN,
)

if TYPE_CHECKING:
    from torch import Tensor


class Patchcore(FeatureMethod):
    """A memory of healthy patches, thinned to a coreset of a set size."""

    info = MethodInfo(
        name="patchcore",
        summary="Memory bank of healthy patch features; the score is the distance to the nearest one.",
        supervision="healthy",
        unit="slice",
        stages=(PRETRAIN, Stage(name="fit")),
        citation=(
            "Roth K, Pemula L, Zepeda J, Schölkopf B, Brox T, Gehler P. Towards total recall in industrial anomaly "
            "detection. CVPR 2022."
        ),
        reimplementation=True,
        assumptions=(
            *ENCODER_ASSUMPTIONS,
            "Levels are pooled over 3 × 3 neighbours, brought to the size of the first and stacked; the paper pools "
            "them once more to a set number of channels.",
            "Levels 1 and 2 instead of 2 and 3, except in preset paper: lesions are small beside a slice.",
            "The memory holds patches with tissue only and has a set size instead of a share of all patches; the "
            "coreset is chosen from a random sample, equally large from every slice.",
            "A slice's score is that of its worst patch with tissue, reweighted as in the paper's equation 7.",
            "The Gaussian that smooths maps is given in mm; the paper's 4 pixels are about as many mm in a brain.",
        ),
    )

    class Settings(FeatureMethod.Settings):
        """Patches, memory and distance.

        Attributes:
            layers: levels of the encoder (0 to 3) that are stacked, at the size of the first.
            candidates: patches from which the coreset is chosen.
            memory: patches in the coreset.
            projection: dimensions of the random projection in which the coreset is chosen.
            neighbours: patches of the memory that reweight a slice's score.
            smooth_mm: standard deviation of the Gaussian that smooths maps.
        """

        layers: tuple[int, ...] = (1, 2)
        candidates: int = Field(100_000, ge=1)
        memory: int = Field(5000, ge=2)
        projection: int = Field(128, ge=1)
        neighbours: int = Field(9, ge=1)
        smooth_mm: float = Field(4.0, ge=0)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {**ENCODER_MOCK, "candidates": 2000, "memory": 200},
        "quick": {**ENCODER_QUICK, "candidates": 8000, "memory": 600},
        "nightly": {**ENCODER_NIGHTLY, "candidates": 30_000, "memory": 1500},
        "standard": {},
        "paper": {**ENCODER_PAPER, "encoder": "wide_resnet50_2", "layers": (2, 3), "memory": 20_000},
    }
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"random-encoder": {"weights": "random"}}

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the encoder and an empty memory."""
        import torch

        super().build(modalities, shape, spacing)
        check_layers(self.settings.layers)
        self.memory = torch.zeros(0)

    def embed(self, slices: Tensor) -> Tensor:
        """Locally aware patch features of slices ``[B, C, D, H]``, ``[B, h, w, F]``."""
        import torch
        from torch.nn.functional import avg_pool2d, interpolate

        layers = self.settings.layers
        levels = self.levels(slices)
        size = levels[layers[0]].shape[2:]
        pooled = [avg_pool2d(levels[layer], 3, stride=1, padding=1) for layer in layers]
        parts = [interpolate(level, size, mode="bilinear") if level.shape[2:] != size else level for level in pooled]
        return torch.cat(parts, 1).permute(0, 2, 3, 1).float()

    def tissue(self, slices: Tensor) -> Tensor:
        """Patches of slices ``[B, C, D, H]`` that hold tissue, ``[B, h, w]`` bool."""
        from cerebench_methods.features.encoder import brain_cells

        return brain_cells(slices, self.encoder.grid(self.settings.layers[0]))

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Sample healthy patches and keep a coreset of them."""
        import torch

        from cerebench_methods.baselines.patchcore_memory import coreset, sampled

        settings = self.settings
        quota = -(-settings.candidates // len(train.slices(settings.min_brain)))
        parts = [sampled(self.embed(batch), self.tissue(batch), quota) for batch in self.batches(train, run)]
        patches = torch.cat(parts)
        self.memory = patches[coreset(patches, settings.memory, settings.projection)]

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Distance of every patch to the memory, at the slices' size ``[B, D, H]``, and reweighted scores ``[B]``."""
        from cerebench_methods.baselines.patchcore_memory import nearest, reweighted
        from cerebench_methods.features.maps import to_slices

        patches = self.embed(images)
        count, height, width, size = patches.shape
        distances, places = nearest(patches.reshape(-1, size), self.memory)
        grids = distances.reshape(count, height, width)
        scores = reweighted(
            patches.reshape(count, -1, size),
            grids.flatten(1),
            places.reshape(count, -1),
            self.tissue(images).flatten(1),
            self.memory,
            self.settings.neighbours,
        )
        maps = to_slices(grids, images.shape[2:], context.spacing, self.settings.smooth_mm)
        return Prediction(maps=maps * context.brain, scores=scores)
