"""Resampling between a volume's own grid and the frame of its mid-sagittal plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cerebench_methods.symmetry.plane import Plane, find_plane

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Frame:
    """Three grids of one head with equal voxel sizes.

    *native*: the volume as it came. *symmetric*: a rotated grid whose middle sagittal plane is the mid-sagittal plane,
    so that flipping the first axis mirrors the head. *upright*: the native axial slices, each shifted and turned within
    itself so that its mid-line is the middle column; slice k is native slice k.

    Attributes:
        plane: the mid-sagittal plane.
        shape: (D, H, W) of the native grid.
        canvas: (D, H) of the other two grids; D should be even.
        spacing: mm along the axes.
    """

    plane: Plane
    shape: tuple[int, int, int]
    canvas: tuple[int, int]
    spacing: tuple[float, float, float]

    @classmethod
    def of(cls, image: Tensor, brain: Tensor, spacing: tuple[float, ...], canvas: tuple[int, int]) -> Frame:
        """The frame of a volume ``[C, D, H, W]`` with brain mask ``[D, H, W]``; its first channel finds the plane."""
        sides, mm = (tuple(brain.shape), (spacing[0], spacing[1], spacing[2]))
        plane = find_plane(image[0].cpu().numpy(), brain.cpu().numpy(), mm)
        return cls(plane, (sides[0], sides[1], sides[2]), canvas, mm)

    def to_symmetric(self, volume: Tensor) -> Tensor:
        """Native ``[C, D, H, W]`` to symmetric ``[C, *canvas, W]``, trilinear, 0 outside the grid."""
        return resample(volume, self._symmetric, (*self.canvas, self.shape[2]), self.spacing)

    def to_native(self, volume: Tensor) -> Tensor:
        """Symmetric ``[C, *canvas, W]`` to native ``[C, D, H, W]``."""
        return resample(volume, np.linalg.inv(self._symmetric), self.shape, self.spacing)

    def to_upright(self, volume: Tensor) -> Tensor:
        """Symmetric ``[C, *canvas, W]`` to upright slices ``[C, *canvas, W]``."""
        transform = np.linalg.inv(self._symmetric) @ self._upright
        return resample(volume, transform, (*self.canvas, self.shape[2]), self.spacing)

    @property
    def slope(self) -> float:
        """Rise of the symmetric grid's axial slices per mm to the right."""
        across, _, up = self.plane.normal
        return float(up / across)

    @property
    def _symmetric(self) -> Array:
        """Symmetric to native mm, ``[4, 4]``."""
        transform = np.eye(4)
        transform[:3, :3] = self.plane.axes
        transform[:3, 3] = self.plane.offset_mm * self.plane.normal
        return transform

    @property
    def _upright(self) -> Array:
        """Upright to native mm: slice z meets the plane in the line e·(x, y) = (offset − n_z z) / h."""
        normal = self.plane.normal
        length = float(np.hypot(normal[0], normal[1]))
        across = normal[:2] / length
        transform = np.eye(4)
        transform[:2, 0] = across
        transform[:2, 1] = -across[1], across[0]
        transform[:2, 2] = -across * normal[2] / length
        transform[:2, 3] = across * self.plane.offset_mm / length
        return transform


def resample(volume: Tensor, transform: Array, shape: tuple[int, ...], spacing: tuple[float, ...]) -> Tensor:
    """Values of ``volume [C, *source]`` on another grid ``[C, *shape]``: trilinear, 0 outside.

    Args:
        volume: float tensor.
        transform: ``[4, 4]``, mm from the middle of the target grid to mm from the middle of the source grid.
        shape: target grid.
        spacing: voxel size of both grids in mm.
    """
    import torch
    import torch.nn.functional as F

    source = np.array([max(side - 1, 1) for side in volume.shape[1:]]) * np.array(spacing) / 2
    target = np.array([side - 1 for side in shape]) * np.array(spacing) / 2
    # affine_grid wants the last axis first, in units of half the grid
    matrix = (transform[:3, :3] * target / source[:, None])[::-1, ::-1]
    shift = (transform[:3, 3] / source)[::-1]
    theta = torch.from_numpy(np.column_stack([matrix, shift])).to(volume)
    grid = F.affine_grid(theta[None], [1, 1, *shape], align_corners=True)
    return F.grid_sample(volume[None], grid, align_corners=True)[0]
