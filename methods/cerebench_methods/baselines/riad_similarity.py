"""Gradient magnitude similarity (Xue et al. 2014) at several scales, as RIAD uses it; imported while training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = 4
"""Scales of the pyramid; each halves the sides. Fewer where the slice has become too small."""

STABILITY = 0.0026
"""Constant of the similarity for intensities of about [0, 1]: 170 / 255²."""


def gradient_magnitude(slices: Tensor) -> Tensor:
    """Length of the Prewitt gradient (rows and columns over 3) of slices ``[B, C, D, H]``, zero outside."""
    prewitt = torch.tensor([[1.0, 0.0, -1.0]] * 3, device=slices.device, dtype=slices.dtype) / 3
    channels = slices.shape[1]
    kernels = torch.stack([prewitt, prewitt.T])[:, None].repeat(channels, 1, 1, 1)
    found = F.conv2d(slices, kernels, padding=1, groups=channels)
    squared = found[:, 0::2].square() + found[:, 1::2].square()
    return (squared + 1e-12).sqrt()  # the root has no gradient at 0


def gradient_similarity(one: Tensor, other: Tensor) -> Tensor:
    """(2ab + c) / (a² + b² + c) of the gradient magnitudes a, b of slices ``[B, C, D, H]``; same shape, in (0, 1]."""
    a, b = gradient_magnitude(one), gradient_magnitude(other)
    return (2 * a * b + STABILITY) / (a.square() + b.square() + STABILITY)


def dissimilarity(one: Tensor, other: Tensor) -> Tensor:
    """1 − similarity, averaged over channels and over the scales of an average-pooling pyramid, ``[B, 1, D, H]``."""
    size, maps = one.shape[-2:], []
    for scale in range(SCALES):
        if scale:
            if min(one.shape[-2:]) < 2:
                break
            one, other = F.avg_pool2d(one, 2), F.avg_pool2d(other, 2)
        found = 1 - gradient_similarity(one, other).mean(1, keepdim=True)
        maps.append(F.interpolate(found, size=size, mode="bilinear", align_corners=False) if scale else found)
    return torch.stack(maps).mean(0)
