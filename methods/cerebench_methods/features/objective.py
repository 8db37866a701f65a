"""Self-supervised objective of the encoder: VICReg (Bardes et al. 2022) between positions of two views of a slice."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss, relu

from cerebench_methods.features.encoder import SliceEncoder, brain_cells

_EPSILON = 1e-4


def vicreg(one: Tensor, other: Tensor, similarity: float = 25.0, spread: float = 25.0, cross: float = 1.0) -> Tensor:
    """VICReg loss of two embeddings ``[N, E]`` of the same N things, a scalar.

    Invariance: mean squared difference. Variance: hinge of each dimension's standard deviation below 1, mean over
    dimensions and views. Covariance: squared off-diagonal covariances over E, summed over views.
    """
    invariance = mse_loss(one, other)
    variance = one.new_zeros(())
    covariance = one.new_zeros(())
    for part in (one, other):
        centred = part - part.mean(0)
        matrix = centred.T @ centred / (len(part) - 1)
        variances = matrix.diagonal()
        variance = variance + relu(1 - (variances + _EPSILON).sqrt()).mean() / 2
        covariance = covariance + (matrix.square().sum() - variances.square().sum()) / part.shape[1]
    return similarity * invariance + spread * variance + cross * covariance


class PositionObjective(nn.Module):
    """Two views of a slice have the same anatomy at the same place; the features of a place should agree and those of
    different places differ.

    Args:
        encoder: what is trained.
        size: embedding dimensions.
        positions: positions drawn a slice at every level.
    """

    def __init__(self, encoder: SliceEncoder, size: int = 128, positions: int = 32) -> None:
        super().__init__()
        self.encoder = encoder
        self.positions = positions
        self.expanders = nn.ModuleList(
            nn.Sequential(nn.Linear(channels, size), nn.BatchNorm1d(size), nn.ReLU(), nn.Linear(size, size))
            for channels in encoder.channels[1:]
        )

    def forward(self, slices: Tensor) -> Tensor:
        """Loss of slices ``[B, C, D, H]``, mean over levels 1 to 3."""
        with torch.no_grad():
            inputs = random_geometry(self.encoder.resized(slices))
            views = torch.cat([random_look(inputs), random_look(inputs)])
        levels = self.encoder.features(views)[1:]
        total = slices.new_zeros(())
        for level, expander in zip(levels, self.expanders, strict=True):
            chosen = self._drawn(inputs, (level.shape[2], level.shape[3]))
            codes = level.flatten(2).transpose(1, 2)
            index = torch.cat([chosen, chosen])[..., None].expand(-1, -1, codes.shape[2])
            picked = torch.gather(codes, 1, index).flatten(0, 1)
            one, other = expander(picked).float().chunk(2)
            total = total + vicreg(one, other)
        return total / len(self.expanders)

    def _drawn(self, inputs: Tensor, grid: tuple[int, int]) -> Tensor:
        """Positions of a grid ``[B, P]``, those with tissue first, in random order."""
        inside = brain_cells(inputs, grid).flatten(1)
        order = torch.rand(inside.shape, device=inside.device) + inside
        return order.topk(min(self.positions, inside.shape[1]), dim=1).indices


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
    grid = torch.nn.functional.affine_grid(theta, list(slices.shape), align_corners=False)
    return torch.nn.functional.grid_sample(slices, grid, align_corners=False)


def random_look(slices: Tensor) -> Tensor:
    """Each slice with another gain (±10 %), smooth bias field (±10 %), blur and noise; zero stays zero."""
    count, channels, device = len(slices), slices.shape[1], slices.device
    gain = 1 + (torch.rand(count, channels, 1, 1, device=device) - 0.5) * 0.2
    field = torch.rand(count, 1, 3, 3, device=device) - 0.5
    bias = 1 + 0.2 * interpolate(field, slices.shape[2:], mode="bicubic", align_corners=True)
    smooth = torch.nn.functional.avg_pool2d(slices, 3, stride=1, padding=1)
    share = torch.rand(count, 1, 1, 1, device=device) * 0.7
    noise = torch.randn_like(slices) * torch.rand(count, 1, 1, 1, device=device) * 0.05
    return ((1 - share) * slices + share * smooth + noise) * gain * bias * (slices != 0)
