"""The hybrid score |difference| × (1 − SSIM), and its smoothing."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def dissimilarity(image: Tensor, restored: Tensor, window: int) -> Tensor:
    """1 − SSIM of volumes ``[B, 1, D, H, W]``, same shape, in [0, 2]; window ``window``³, data range 1."""
    from kornia.metrics import ssim3d

    odd = window if window % 2 else window + 1
    return 1 - ssim3d(image, restored, odd, max_val=1.0)


def hybrid_score(image: Tensor, restored: Tensor, settings: Any, spacing: tuple[float, ...]) -> Tensor:
    """Anomaly map ``[B, 1, D, H, W]`` of images and pseudo-healthy images, smoothed as the settings say."""
    from monai.networks.layers.simplelayers import GaussianFilter, median_filter

    if settings.score == "difference":
        score = (image - restored).abs()
    elif settings.score == "ssim":
        score = dissimilarity(image, restored, settings.ssim_window)
    else:
        score = (image - restored).abs() * dissimilarity(image, restored, settings.ssim_window)
    if settings.smoothing_mm:
        score = GaussianFilter(3, [settings.smoothing_mm / side for side in spacing]).to(score.device)(score)
    if settings.median > 1:
        score = median_filter(score, settings.median)
    smoothed: Tensor = score
    return smoothed
