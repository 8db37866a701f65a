"""Settings, presets, named variants and assumptions of symmetry-inverse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from cerebench.api import MethodSettings


class SymmetryInverseSettings(MethodSettings):
    """Masks, both networks, their trainings and the scores.

    Attributes:
        masking: where hidden patches lie: ``random``; ``symmetric-pairs`` (a patch and its mirror image);
            ``hemisphere`` (patches of one side, their mirror images visible); ``mixed`` (pairs, one side, whole side).
        patch_mm: side of a patch.
        ratio: share of the patches (for ``hemisphere``: of that side's) that is hidden.
        loss: of the reconstruction: mean squared error, mean absolute error or 1 − SSIM.
        symmetry_weight: weight of the mean absolute difference between the reconstruction and its mirror image.
        width: filters of the U-Net's first level; the last has 16 times as many.
        steps: optimiser steps of the U-Net.
        batch_size: slices a step, for both networks.
        learning_rate: peak of the U-Net's one-cycle schedule.
        min_brain: least share of brain in a slice that is learnt from or counts for the subject's score.
        difference: whether the beta-VAE sees signed or absolute difference maps.
        latent: dimensions of the beta-VAE's code.
        beta: weight of the divergence.
        vae_width: filters of its first layer; they double up to 8 times as many.
        vae_depth: its layers, each halving the sides.
        vae_steps: its optimiser steps.
        vae_learning_rate: peak of its one-cycle schedule.
        subject_share: a subject's score is the mean of this share of its slice scores, the highest ones.
        adapt_epochs: passes over the target's training slices, for each network.
        adapt_rate: learning rates while adapting, as a share of the first ones.
    """

    masking: Literal["random", "symmetric-pairs", "hemisphere", "mixed"] = "mixed"
    patch_mm: float = Field(16, gt=0)
    ratio: float = Field(0.5, gt=0, le=0.5)
    loss: Literal["mse", "l1", "ssim"] = "mse"
    symmetry_weight: float = Field(0.1, ge=0)
    width: int = Field(32, ge=1)
    steps: int = Field(20_000, ge=1)
    batch_size: int = Field(32, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    min_brain: float = Field(0.02, ge=0, lt=1)
    difference: Literal["signed", "absolute"] = "absolute"
    latent: int = Field(1024, ge=1)
    beta: float = Field(1.0, ge=0)
    vae_width: int = Field(32, ge=1)
    vae_depth: int = Field(5, ge=2, le=6)
    vae_steps: int = Field(5_000, ge=1)
    vae_learning_rate: float = Field(1e-3, gt=0)
    subject_share: float = Field(0.1, gt=0, le=1)
    adapt_epochs: int = Field(10, ge=1)
    adapt_rate: float = Field(0.3, gt=0, le=1)


INPAINTING = (
    "masking",
    "patch_mm",
    "ratio",
    "loss",
    "symmetry_weight",
    "width",
    "steps",
    "batch_size",
    "learning_rate",
    "min_brain",
)
"""What the first stage depends on."""

_SMALL = {"latent": 256, "vae_width": 8, "vae_depth": 3}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "mock": {
        **_SMALL,
        "width": 4,
        "steps": 60,
        "vae_steps": 40,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "vae_learning_rate": 3e-3,
        "adapt_epochs": 1,
    },
    "quick": {
        **_SMALL,
        "width": 8,
        "steps": 150,
        "vae_steps": 80,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "vae_learning_rate": 3e-3,
        "adapt_epochs": 1,
    },
    "nightly": {
        "latent": 512,
        "vae_width": 16,
        "vae_depth": 4,
        "width": 16,
        "steps": 500,
        "batch_size": 16,
        "vae_steps": 250,
        "learning_rate": 2e-3,
        "vae_learning_rate": 2e-3,
        "adapt_epochs": 2,
    },
    "standard": {},
    "paper": {"steps": 50_000, "vae_steps": 20_000},
}

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "ab1-mse": {"masking": "symmetric-pairs", "loss": "mse"},
    "symmetry-roc": {"masking": "mixed", "loss": "ssim"},
    "random-masks": {"masking": "random"},
}
"""``ab1-mse`` and ``symmetry-roc`` are our readings of configurations that the abstract only names."""

ASSUMPTIONS = (
    "Plane: found in each volume by self-registration; volumes are resampled so that it is the middle column.",
    "Masks: square patches of 16 mm, half of them hidden, set to 0, with the mask as a second input channel.",
    "Masking `mixed` draws pairs of mirrored patches, patches of one side, or one whole side, a third of slices each.",
    "At prediction complementary masks hide every pixel twice; the reconstruction is the mean of these predictions.",
    "U-Net: MONAI's UNet with residual units and batch normalisation, 32 to 512 filters.",
    "Loss: over the whole slice, plus 0.1 times the mean absolute left-right difference of the reconstruction.",
    "Absolute difference maps, scaled to unit healthy power, enter the beta-VAE; beta is 1, the code has 1024 numbers.",
    "Codes are posterior means; the healthy covariance is shrunk (Ledoit-Wolf) and fitted on training slices only.",
    "Schedule (AdamW, one cycle), steps and batch size are ours, and so are resolution and slice size (the grid's).",
    "The voxel map is the absolute difference; the paper's abstract speaks of slices only.",
    "A subject's score is the mean of the highest tenth of its slices' distances.",
    "Fine-tuning: ten epochs of both networks at 0.3 times the learning rate, then fresh healthy statistics.",
    "Variant `ab1-mse`: the meaning of AB1 is unknown; taken as mirrored pairs of patches with MSE.",
    "Variant `symmetry-roc`: taken as mixed symmetric masks with SSIM loss; ROC names the threshold rule.",
    "Thresholds (ROC point, healthy percentiles) are chosen by the harness on validation data, never by the method.",
)
