"""Bottleneck and decoder of reverse distillation, made of MONAI's blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from monai.networks.blocks.convolutions import Convolution
from monai.networks.blocks.upsample import UpSample
from monai.networks.nets.resnet import ResNetBlock
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity


class Student(nn.Module):
    """From the teacher's three levels to a code at half the size of the last, and back to three levels.

    The multi-scale fusion brings every level to the size of the last by convolutions with stride 2 and merges them;
    the one-class embedding halves the size by residual blocks. The decoder doubles the size a level.

    Args:
        channels: of the teacher's levels, from the largest to the smallest map, each half as large as the one before.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        last = channels[-1]
        self.fusion = nn.ModuleList(
            nn.Sequential(*(_halved(size if step == 0 else last, last) for step in range(len(channels) - 1 - index)))
            for index, size in enumerate(channels)
        )
        self.merge = Convolution(2, last * len(channels), last, kernel_size=1, norm="batch", act="relu", bias=False)
        self.embedding = nn.Sequential(
            ResNetBlock(last, 2 * last, 2, stride=2, downsample=_shortcut(last, 2 * last)),
            ResNetBlock(2 * last, 2 * last, 2),
        )
        sizes = [2 * last, *reversed(channels)]
        self.decoder = nn.ModuleList(_doubled(before, after) for before, after in pairwise(sizes))
        self.to(memory_format=torch.channels_last)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Restored levels, in the order and of the shapes of those given."""
        fused = torch.cat([path(level) for path, level in zip(self.fusion, levels, strict=True)], 1)
        code: Tensor = self.embedding(self.merge(fused))
        restored = []
        for step in self.decoder:
            code = step(code)
            restored.append(code)
        return restored[::-1]


def cosine_distance(one: Tensor, other: Tensor) -> Tensor:
    """1 − cosine similarity of the feature vectors ``[B, C, h, w]`` at each position, ``[B, h, w]``."""
    return 1 - cosine_similarity(one.float(), other.float(), dim=1)


def _halved(before: int, after: int) -> nn.Module:
    return Convolution(2, before, after, strides=2, kernel_size=3, norm="batch", act="relu", bias=False)


def _shortcut(before: int, after: int) -> nn.Module:
    return Convolution(2, before, after, strides=2, kernel_size=1, norm="batch", act=None, bias=False)


def _doubled(before: int, after: int) -> nn.Module:
    return nn.Sequential(
        UpSample(2, before, after, scale_factor=2, mode="deconv"),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        ResNetBlock(after, after, 2),
        ResNetBlock(after, after, 2),
    )
