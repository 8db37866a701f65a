"""The autoencoder of features, its loss and the scale of its input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from monai.metrics.regression import compute_ssim_and_cs
from monai.networks.blocks.convolutions import Convolution
from torch import Tensor, nn
from torch.nn.functional import pad

_WINDOW, _SIGMA = 5, 1.5


def feature_autoencoder(channels: int, hidden: Sequence[int], dropout: float) -> nn.Module:
    """Convolutions of 5 × 5 with stride 2 and transposed ones of 6 × 6, each with batch norm, leaky ReLU and dropout.

    The output is larger than the input where a side is no multiple of all strides: crop it.

    Args:
        channels: of the features.
        hidden: filters of the layers.
        dropout: share of feature maps dropped in training.
    """
    common: dict[str, Any] = {
        "strides": 2,
        "padding": 2,
        "bias": False,
        "norm": "batch",
        "act": "leakyrelu",
        "dropout": dropout,
        "dropout_dim": 2,
        "adn_ordering": "NAD",
    }
    sizes = [channels, *hidden]
    layers: list[nn.Module] = [
        Convolution(2, before, after, kernel_size=5, **common) for before, after in pairwise(sizes)
    ]
    layers.append(nn.Conv2d(sizes[-1], sizes[-1], 5, padding=2, bias=False))
    layers += [
        Convolution(2, before, after, kernel_size=6, output_padding=0, is_transposed=True, **common)
        for before, after in pairwise(sizes[::-1])
    ]
    layers.append(nn.Conv2d(channels, channels, 1, bias=False))
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def dissimilarity(one: Tensor, other: Tensor) -> Tensor:
    """1 − SSIM (window 5, σ 1.5, range 1) at every position of ``[B, F, h, w]``, borders mirrored; same shape."""
    margins = [_WINDOW // 2] * 4
    similarity, _ = compute_ssim_and_cs(
        pad(one, margins, mode="reflect"),
        pad(other, margins, mode="reflect"),
        spatial_dims=2,
        data_range=1.0,
        kernel_size=[_WINDOW, _WINDOW],
        kernel_sigma=[_SIGMA, _SIGMA],
        k1=0.01,
        k2=0.03,
    )
    return 1 - similarity


def spread(batches: Iterable[Tensor]) -> Tensor:
    """Standard deviation of every channel over batches ``[B, F, h, w]``, ``[F]``; never 0."""
    count = 0
    total: Tensor | None = None
    squares: Tensor | None = None
    for batch in batches:
        values = batch.double().transpose(0, 1).flatten(1)
        count += values.shape[1]
        total = values.sum(1) + (0 if total is None else total)
        squares = values.square().sum(1) + (0 if squares is None else squares)
    assert total is not None
    assert squares is not None
    mean = total / count
    return (squares / count - mean.square()).clamp(min=0).sqrt().clamp(min=1e-6).float()
