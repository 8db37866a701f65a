"""The four networks: anatomy extractor, modality extractor, anatomy restorer, combiner."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from monai.networks.blocks.convolutions import Convolution
from monai.networks.nets.unet import UNet
from torch import Tensor, nn


def unet_stride(depth: int) -> int:
    """Sides of a volume must be multiples of it."""
    return int(2**depth)


VIEWS = ((3.0, -1.0), (-3.0, 2.0), (2.0, 0.5))
"""Gains and offsets from which the affine views of an image start: rising above the dark tissue, falling below the
bright one, and rising throughout. From gains near 0 the extractor stays for hundreds of steps at one class for all."""


def unet(inputs: int, outputs: int, width: int, depth: int) -> nn.Module:
    """MONAI's 3D U-Net; the first level keeps the full resolution."""
    return UNet(
        spatial_dims=3,
        in_channels=inputs,
        out_channels=outputs,
        channels=[width, *(width * 2**level for level in range(depth + 1))][: depth + 2],
        strides=[1, *[2] * depth],
        num_res_units=1,
        norm="BATCH",
    )


class ModalityExtractor(nn.Module):
    """What an image looks like, without where anything is: ``[B, 1, D, H, W]`` to ``[B, size]``."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        sides = [1, width, 2 * width, 2 * width]
        self.layers = nn.Sequential(
            *(Convolution(3, one, other, strides=2, act="LEAKYRELU", norm=None) for one, other in pairwise(sides))
        )
        self.vector = nn.Linear(sides[-1], size)

    def forward(self, image: Tensor, brain: Tensor) -> Tensor:
        """Vector of the features' mean inside the brain ``[B, 1, D, H, W]``."""
        found = self.layers(image)
        share = nn.functional.interpolate(brain.to(found.dtype), size=found.shape[2:], mode="area")
        pooled = (found * share).sum((2, 3, 4)) / share.sum((2, 3, 4)).clamp(min=1e-6)
        vector: Tensor = self.vector(pooled)
        return vector


class AnatomyExtractor(nn.Module):
    """Tissue logits ``[B, 3, …]`` of an image, whatever its contrast.

    The image reaches the U-Net in a few affine views whose gains and offsets follow from its own looks: with one gain
    for all, small networks learn the tissues of one contrast and fail on the inverse one.
    """

    def __init__(self, width: int, depth: int, looks: int) -> None:
        super().__init__()
        self.looks = ModalityExtractor(width, looks)
        self.views = nn.Linear(looks, 2 * len(VIEWS))
        with torch.no_grad():
            self.views.bias.copy_(torch.tensor(VIEWS).T.flatten())
        self.unet = unet(len(VIEWS), 3, width, depth)

    def forward(self, image: Tensor, brain: Tensor) -> Tensor:
        """Logits of images ``[B, 1, D, H, W]`` with brain masks of the same shape."""
        gains, offsets = self.views(self.looks(image, brain))[..., None, None, None].chunk(2, dim=1)
        logits: Tensor = self.unet(nn.functional.leaky_relu(image * gains + offsets, 0.2) * brain)
        return logits


class Combiner(nn.Module):
    """Renders an anatomical code ``[B, code, …]`` in the looks of a modality vector ``[B, size]``: ``[B, 1, …]``."""

    def __init__(self, code: int, width: int, size: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(code, width, 3, padding=1)
        self.second = nn.Conv3d(width, width, 1)
        self.last = nn.Conv3d(width, 1, 1)
        self.modulation = nn.Linear(size, 4 * width)

    def forward(self, code: Tensor, vector: Tensor) -> Tensor:
        """Feature-wise affine modulation after either convolution (Perez et al. 2018)."""
        scales = self.modulation(vector)[..., None, None, None].chunk(4, dim=1)
        found = nn.functional.leaky_relu(self.first(code) * (1 + scales[0]) + scales[1], 0.1)
        found = nn.functional.leaky_relu(self.second(found) * (1 + scales[2]) + scales[3], 0.1)
        image: Tensor = self.last(found)
        return image


class Disentangler(nn.Module):
    """All four networks and the code of an anatomical image itself, trained together."""

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.anatomy = AnatomyExtractor(settings.width, settings.depth, settings.modality_size)
        self.modality = ModalityExtractor(settings.render_width, settings.modality_size)
        self.restorer = unet(1, settings.code, settings.width, settings.depth)
        self.embed = nn.Conv3d(3, settings.code, 1)
        self.combiner = Combiner(settings.code, settings.render_width, settings.modality_size)

    def forward(self, image: Tensor, brain: Tensor) -> Tensor:
        """Tissue logits ``[B, 3, …]``: the one part that is used alone."""
        logits: Tensor = self.anatomy(image, brain)
        return logits

    def render(self, code: Tensor, vector: Tensor, brain: Tensor) -> Tensor:
        """Image ``[B, 1, …]`` of a code and a modality vector, 0 outside the brain."""
        return torch.mul(self.combiner(code, vector), brain)
