"""Self-supervised objective of the encoder: masked image modelling with linear heads (SimMIM, Xie et al. 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample, interpolate, pixel_shuffle

from cerebench_methods.features.encoder import STRIDES, SliceEncoder


class MaskedModelling(nn.Module):
    """Patches of a slice are hidden; every level has to tell all of its pixels through one linear layer.

    Hidden pixels ask for anatomy around them, visible ones keep intensities in the features. Nothing can collapse.

    Args:
        encoder: what is trained.
        ratio: share of patches that are hidden, in [0, 1).
        patch: side of a patch in pixels of the network's input.
    """

    def __init__(self, encoder: SliceEncoder, ratio: float = 0.4, patch: int = 8) -> None:
        super().__init__()
        self.encoder = encoder
        self.ratio, self.patch = ratio, patch
        channels = next(encoder.parameters()).shape[1]
        self.heads = nn.ModuleList(
            nn.Conv2d(size, channels * stride**2, 1)
            for size, stride in zip(encoder.channels[1:], STRIDES[1:], strict=True)
        )

    def forward(self, slices: Tensor) -> Tensor:
        """Mean absolute error over tissue of slices ``[B, C, D, H]``, mean over levels 1 to 3."""
        with torch.no_grad():
            target = random_geometry(self.encoder.resized(slices))
            tissue = (target != 0).float()
            visible = random_patches(target, 1 - self.ratio, self.patch)
            hidden = (1 - visible) * tissue * tissue_mean(target, tissue)
            inputs = target * visible + hidden
        total = slices.new_zeros(())
        for level, head, stride in zip(self.encoder.features(inputs)[1:], self.heads, STRIDES[1:], strict=True):
            told = pixel_shuffle(head(level).float(), stride)
            total = total + ((told - target).abs() * tissue).sum() / tissue.sum().clamp(min=1)
        return total / len(self.heads)


def tissue_mean(slices: Tensor, tissue: Tensor) -> Tensor:
    """Mean of each slice's tissue, ``[B, C, 1, 1]``: what stands where a patch is hidden."""
    means: Tensor = (slices * tissue).sum((2, 3), keepdim=True) / tissue.sum((2, 3), keepdim=True).clamp(min=1)
    return means


def random_patches(slices: Tensor, share: float, patch: int) -> Tensor:
    """A mask ``[B, 1, h, w]`` of ones and zeros, constant on patches, with about ``share`` ones."""
    height, width = slices.shape[2:]
    grid = torch.rand(len(slices), 1, -(-height // patch), -(-width // patch), device=slices.device) < share
    return interpolate(grid.float(), scale_factor=patch, mode="nearest")[:, :, :height, :width]


def random_geometry(slices: Tensor) -> Tensor:
    """Each slice mirrored, turned (±15°), scaled (±15 %) and shifted (±10 %) at random; zero beyond the border."""
    count, device = len(slices), slices.device
    angle = (torch.rand(count, device=device) - 0.5) * 0.52
    scale = 1 + (torch.rand(count, device=device) - 0.5) * 0.3
    mirror = torch.where(torch.rand(count, device=device) < 0.5, -1.0, 1.0)
    shift = (torch.rand(count, 2, device=device) - 0.5) * 0.4
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    theta = torch.stack(
        [torch.stack([cosine, -sine * mirror, shift[:, 0]], 1), torch.stack([sine, cosine * mirror, shift[:, 1]], 1)], 1
    )
    return grid_sample(slices, affine_grid(theta, list(slices.shape), align_corners=False), align_corners=False)
