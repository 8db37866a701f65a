"""Settings, presets, named variants and assumptions of disentangled-anatomy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from cerebench.api import MethodSettings

Intensity = Annotated[float, Field(ge=0, le=1)]


class DisentangledAnatomySettings(MethodSettings):
    """Networks, losses, training and score.

    Attributes:
        tissue_values: intensities of the three tissue classes in the anatomical image.
        one_hot: whether every voxel of the anatomical image has exactly one class; else classes mix softly.
        restorer_input: what the restorer sees: the ``edges`` of the anatomical image, or the ``intensity`` image
            itself (the paper's ablation).
        edges: ``input`` restores the anatomy that the edges show; ``normative`` trains the restorer on warped edges,
            so that it learns to undo deformations (not in the paper).
        warp_mm: standard deviation of that warp.
        reuse_modality: whether the pseudo-healthy image is rendered with the modality vector of the input; else with
            the mean one of its modality.
        width: filters of the anatomy extractor's first level, which ``depth`` more follow; half of those of the
            restorer's first level, which has half the resolution.
        depth: levels with stride 2.
        code: channels of the anatomical code.
        render_width: filters of the combiner.
        modality_size: numbers in the modality vector.
        canny_low: lower threshold of Canny's hysteresis, on the anatomical image's gradient.
        canny_high: upper threshold.
        canny_sigma: smoothing before the gradient, in voxels.
        consistency_weight: of the difference between the anatomy of T1 and of T2.
        similarity_weight: of the restored code's difference from that of the anatomical image, and of the cross-entropy
            of the tissues decoded from it.
        prior_weight: of the anatomical prior: squared distance of the tissue values from T1's intensities.
        steps: optimiser steps.
        batch_size: crops a step.
        crop: side of a training crop in voxels.
        learning_rate: peak of the one-cycle schedule.
        score: anomaly score: ``product`` |difference| × (1 − SSIM), ``difference`` or ``ssim`` alone.
        ssim_window: side of the SSIM window in voxels.
        smoothing_mm: standard deviation of the Gaussian that smooths the score.
        median: side of the median filter after it in voxels; 1 for none.
    """

    tissue_values: tuple[Intensity, Intensity, Intensity] = (0.29, 0.48, 0.72)
    one_hot: bool = True
    restorer_input: Literal["edges", "intensity"] = "edges"
    edges: Literal["input", "normative"] = "input"
    warp_mm: float = Field(4.0, gt=0)
    reuse_modality: bool = True
    width: int = Field(16, ge=2)
    depth: int = Field(3, ge=1, le=4)
    code: int = Field(8, ge=1)
    render_width: int = Field(16, ge=2)
    modality_size: int = Field(8, ge=1)
    canny_low: float = Field(0.1, gt=0, lt=1)
    canny_high: float = Field(0.2, gt=0, lt=1)
    canny_sigma: float = Field(0.5, gt=0)
    consistency_weight: float = Field(1.0, ge=0)
    similarity_weight: float = Field(1.0, ge=0)
    prior_weight: float = Field(4.0, ge=0)
    steps: int = Field(20_000, ge=1)
    batch_size: int = Field(2, ge=1)
    crop: int = Field(64, ge=16)
    learning_rate: float = Field(2e-3, gt=0)
    score: Literal["product", "difference", "ssim"] = "product"
    ssim_window: int = Field(5, ge=3)
    smoothing_mm: float = Field(2.0, ge=0)
    median: int = Field(3, ge=1, le=7)


TRAINED = tuple(
    name
    for name in DisentangledAnatomySettings.model_fields
    if name not in ("reuse_modality", "score", "ssim_window", "smoothing_mm", "median")
)
"""What the training depends on; the other settings share its artefact."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "mock": {"width": 4, "depth": 1, "code": 4, "render_width": 4, "steps": 40, "crop": 16, "learning_rate": 1e-2},
    "quick": {
        "width": 4,
        "depth": 2,
        "render_width": 4,
        "steps": 80,
        "batch_size": 1,
        "crop": 32,
        "learning_rate": 1e-2,
    },
    "nightly": {
        "width": 8,
        "depth": 2,
        "render_width": 8,
        "steps": 300,
        "batch_size": 1,
        "crop": 40,
        "learning_rate": 1e-2,
    },
    "standard": {},
    "paper": {"width": 32, "render_width": 32, "steps": 50_000, "crop": 96},
}

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "intensity-input": {"restorer_input": "intensity"},
    "difference-only": {"score": "difference"},
    "ssim-only": {"score": "ssim"},
    "soft-tissues": {"one_hot": False},
    "mean-modality": {"reuse_modality": False},
    "normative-edges": {"edges": "normative"},
}

ASSUMPTIONS = (
    "Anatomy extractor and restorer are MONAI's 3D UNets with residual units and batch normalisation; sizes are ours.",
    "The anatomy extractor sees the image through three learned tone curves of its modality; T2's start inverted.",
    "The restorer starts at half the resolution and twice the filters.",
    "The one-hot operator passes gradients straight through to the softmax (the abstract only says differentiable).",
    "Canny runs on axial slices of the anatomical image; its thresholds and smoothing are ours.",
    "The modality extractor is a strided 3D CNN with mean pooling to 8 numbers.",
    "The combiner renders code and modality vector by feature-wise affine modulation (FiLM) in three convolutions.",
    "Reconstruction is the mean absolute error over both anatomies and both modality vectors, swapped ones included.",
    "Consistency: mean absolute difference of the tissue probabilities of T1 and T2.",
    "Similarity: mean absolute difference of the restored code from the anatomical image's own, a fixed target, plus "
    "the cross-entropy of the tissues that one linear layer decodes from the restored code.",
    "Anatomical prior: expected squared distance between the tissue values and T1, scaled by its percentiles 5 and 95.",
    "Losses have weight 1, the prior 4; AdamW with one cycle, crops and steps are ours.",
    "Score: |difference| × (1 − SSIM) with SSIM on 3D windows of 5 voxels, Gaussian of 2 mm, then median of 3 voxels.",
    "Setting edges=normative is ours: the paper names the wish, not the way.",
)
